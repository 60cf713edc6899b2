//! onefold in a tonic server.
//!
//! A project usually has tonic's build script generate [`Service`] and the messages from a `.proto` file. They are written
//! by hand here, so that no protoc is needed; what concerns onefold is [`Warehouse::receive`] and below.
//!
//! ```sh
//! cargo run --package onefold-tests --example embedding_tonic
//! ```

mod warehouse;

use std::convert::Infallible;
use std::task::{Context, Poll};

use onefold::{Aggregates, Error, ErrorKind};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use warehouse::{Article, Failure, OutOfStock, Receive, Take};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let stop = warehouse::stop_signal()?;
    let runtime = warehouse::start("warehouse-tonic-data").await?;
    let service = Warehouse { articles: runtime.aggregates()? };
    let served = Server::builder().add_service(service).serve_with_shutdown("127.0.0.1:7081".parse()?, stop).await;
    warehouse::stop(&runtime).await?;
    Ok(served?)
}

#[derive(Clone)]
struct Warehouse {
    articles: Aggregates<Article>,
}

impl Warehouse {
    async fn receive(self, request: ReceiveRequest) -> Result<Response<Stock>, Status> {
        let ReceiveRequest { article, delivery, pieces } = request;
        // When the client's deadline passes or it goes away, tonic drops this future: a command that is still queued is
        // taken back, one that has started runs whole.
        let in_stock = self.articles.ask(article, Receive { delivery, pieces }).await.map_err(status)?;
        Ok(Response::new(Stock { in_stock }))
    }

    async fn take(self, TakeRequest { article, pieces }: TakeRequest) -> Result<Response<Stock>, Status> {
        let in_stock = self.articles.ask(article, Take { pieces }).await.map_err(status)?;
        Ok(Response::new(Stock { in_stock }))
    }
}

/// An error on its way to the client. gRPC clients retry `Unavailable` on their own, so it is for what is safe to retry.
fn status(error: Error<OutOfStock>) -> Status {
    let code = match error.kind() {
        _ if error.is_retry_safe() => Code::Unavailable,
        ErrorKind::InvalidId | ErrorKind::TooLarge => Code::InvalidArgument,
        ErrorKind::Rejected => Code::FailedPrecondition,
        ErrorKind::Conflict => Code::Aborted,
        // As gRPC has it: the operation may have been completed all the same.
        ErrorKind::OutcomeUnknown => Code::DeadlineExceeded,
        _ => Code::Internal,
    };
    Status::new(code, error.to_string())
}

// What tonic would generate from here on.

#[derive(Clone, PartialEq, prost::Message)]
struct ReceiveRequest {
    #[prost(string, tag = "1")]
    article: String,
    #[prost(uint64, tag = "2")]
    delivery: u64,
    #[prost(uint64, tag = "3")]
    pieces: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TakeRequest {
    #[prost(string, tag = "1")]
    article: String,
    #[prost(uint64, tag = "2")]
    pieces: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Stock {
    #[prost(uint64, tag = "1")]
    in_stock: u64,
}

impl NamedService for Warehouse {
    const NAME: &'static str = "warehouse.Warehouse";
}

impl Service<http::Request<Body>> for Warehouse {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/warehouse.Warehouse/Receive" => {
                    Grpc::new(ProstCodec::default())
                        .unary(Unary(|message| service.clone().receive(message)), request)
                        .await
                }
                "/warehouse.Warehouse/Take" => {
                    Grpc::new(ProstCodec::default())
                        .unary(Unary(|message| service.clone().take(message)), request)
                        .await
                }
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

/// A function as a method without streams.
struct Unary<F>(F);

impl<M, F, R> UnaryService<M> for Unary<F>
where
    F: FnMut(M) -> R,
    R: Future<Output = Result<Response<Stock>, Status>>,
{
    type Response = Stock;
    type Future = R;

    fn call(&mut self, request: Request<M>) -> R {
        (self.0)(request.into_inner())
    }
}
