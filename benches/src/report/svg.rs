//! The two plots of the page, drawn as inline SVG: colours come from the page's style, so that both fit day and night.

use std::fmt::Write;

use super::units::{number, whole};
use crate::recorder::SLOT;
use crate::series::Series;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// Latency over percentile, both logarithmic: to the right, each gridline is ten times rarer.
pub(super) fn latencies(series: &[&Series]) -> String {
    let lines: Vec<Line> = series.iter().enumerate().map(|(index, series)| latency_line(index, series)).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let rarest = points().map(|point| point.0).fold(1.0, f64::max);
    let low = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() || !high.is_finite() {
        return String::new();
    }
    // Whole thirds of a decade around the data, and never less than a decade.
    let (low, high) = ((low * 3.0).floor() / 3.0, (high * 3.0).ceil() / 3.0);
    let axes = Axes { x: (0.0, rarest), y: (low, high.max(low + 1.0)) };
    let mut plot = Plot::new(axes, "Latency in percentiles");
    // Over many decades the lines between them would stand too close.
    let digits: &[f64] = if axes.y.1 - axes.y.0 > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    for micro in decades(axes.y).flat_map(|decade| digits.iter().map(move |digit| digit * decade)) {
        plot.horizontal(micro.log10(), &round_micros(micro));
    }
    let percentiles = [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];
    for (quantile, label) in percentiles.into_iter().chain([(0.999_99, "99.999 %"), (0.999_999, "99.9999 %")]) {
        plot.vertical(rarity(quantile), label);
    }
    lines.iter().for_each(|line| plot.line(line));
    plot.finish("percentile of all answers")
}

/// How rare what lies above a quantile is, in powers of ten.
fn rarity(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

#[expect(clippy::cast_precision_loss, reason = "a plot")]
fn latency_line(index: usize, series: &Series) -> Line {
    let latencies = &series.whole.latencies;
    // Beyond one in all answers there is nothing to draw.
    let rarest = (latencies.len() as f64).max(1.0).log10();
    let steps = if latencies.is_empty() { 0 } else { 200 };
    let point = |step: u32| {
        let rarity = rarest * f64::from(step) / 200.0;
        let micros = series.micros_at(1.0 - 10f64.powf(-rarity));
        (rarity, micros.max(0.001).log10())
    };
    Line { index, points: (0..=steps).filter(|_| steps > 0).map(point).collect() }
}

/// Answers per second over the time of the run; each round is a line of its own.
#[expect(clippy::cast_precision_loss, reason = "a plot")]
pub(super) fn throughput(series: &[&Series]) -> String {
    let mut lines = Vec::new();
    for (index, series) in series.iter().enumerate() {
        for round in &series.rounds {
            let at = |slot: usize| round.began.as_secs_f64() + (slot as f64 + 0.5) * SLOT.as_secs_f64();
            let points = round.slots.iter().enumerate().map(|(slot, answers)| (at(slot), *answers));
            lines.push(Line { index, points: points.collect() });
        }
    }
    let points = || lines.iter().flat_map(|line: &Line| &line.points);
    let first = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let last = points().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    if !first.is_finite() || last <= first || most <= 0.0 {
        return String::new();
    }
    let step = nice_step(most, 5.0);
    let axes = Axes { x: (first, last), y: (0.0, (most / step).ceil() * step) };
    let mut plot = Plot::new(axes, "Answers per second over time");
    for tick in (0..).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= axes.y.1 + step / 2.0) {
        plot.horizontal(tick, &round_count(tick));
    }
    let step = nice_step(last - first, 8.0);
    for tick in (0..).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= last - first) {
        plot.vertical(first + tick, &if step < 1.0 { format!("{tick:.1} s") } else { format!("{tick} s") });
    }
    lines.iter().for_each(|line| plot.line(line));
    plot.finish(&format!("time; a point is {} ms", number(u64::try_from(SLOT.as_millis()).unwrap_or(0))))
}

/// A round duration on an axis: `20 ms`.
fn round_micros(micros: f64) -> String {
    match micros {
        _ if micros > 999_999.0 => format!("{} s", (micros / 1e6).round()),
        _ if micros > 999.0 => format!("{} ms", (micros / 1e3).round()),
        _ if micros > 0.999 => format!("{} µs", micros.round()),
        _ => format!("{} ns", (micros * 1e3).round()),
    }
}

/// A round count on an axis: `1.5 M`, `500 k`.
fn round_count(count: f64) -> String {
    match count {
        _ if count > 999_999.0 => format!("{} M", (count / 1e4).round() / 100.0),
        _ if count > 9_999.0 => format!("{} k", (count / 10.0).round() / 100.0),
        _ => whole(count),
    }
}

/// Powers of ten of microseconds inside a logarithmic axis.
fn decades(axis: (f64, f64)) -> impl Iterator<Item = f64> {
    (-3..=9).map(|power| 10f64.powi(power)).filter(move |decade| (axis.0 - 1.0..=axis.1).contains(&decade.log10()))
}

/// 1, 2 or 5 times a power of ten, so that `range` has about `ticks` of it.
fn nice_step(range: f64, ticks: f64) -> f64 {
    let rough = range / ticks;
    let power = 10f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= rough).unwrap_or(10.0);
    digit * power
}

/// One line; `index` chooses the colour.
struct Line {
    index: usize,
    points: Vec<(f64, f64)>,
}

/// The ranges of both axes.
#[derive(Clone, Copy)]
struct Axes {
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    fn place(&self, point: (f64, f64)) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        let x = LEFT + share(point.0, self.x) * (WIDTH - LEFT - RIGHT);
        let y = HEIGHT - BOTTOM - share(point.1, self.y) * (HEIGHT - TOP - BOTTOM);
        (x, y)
    }
}

struct Plot {
    axes: Axes,
    svg: String,
}

impl Plot {
    fn new(axes: Axes, title: &str) -> Self {
        let svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
        Plot { axes, svg }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.svg.write_fmt(element).expect("writing to a string");
        self.svg.push('\n');
    }

    fn horizontal(&mut self, at: f64, label: &str) {
        let (_, y) = self.axes.place((self.axes.x.0, at));
        if (TOP - 1.0..=HEIGHT - BOTTOM + 1.0).contains(&y) {
            self.push(format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT));
            self.push(format_args!("<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>", LEFT - 8.0, y + 4.0));
        }
    }

    fn vertical(&mut self, at: f64, label: &str) {
        let (x, _) = self.axes.place((at, self.axes.y.0));
        if (LEFT - 1.0..=WIDTH - RIGHT + 1.0).contains(&x) {
            self.push(format_args!("<path class=\"grid\" d=\"M{x:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM));
            let x = x.min(WIDTH - RIGHT - 14.0);
            self.push(format_args!(
                "<text class=\"x\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
                HEIGHT - BOTTOM + 18.0
            ));
        }
    }

    fn line(&mut self, line: &Line) {
        let mut path = String::new();
        for (index, point) in line.points.iter().enumerate() {
            let (x, y) = self.axes.place(*point);
            write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' }).expect("writing to a string");
        }
        if !path.is_empty() {
            self.push(format_args!("<path class=\"line s{}\" d=\"{path}\"/>", line.index));
        }
    }

    fn finish(mut self, x_title: &str) -> String {
        let x = f64::midpoint(LEFT, WIDTH - RIGHT);
        self.push(format_args!("<text class=\"x title\" x=\"{x:.1}\" y=\"{:.1}\">{x_title}</text>", HEIGHT - 6.0));
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_nice() {
        let steps = [nice_step(10.0, 5.0), nice_step(430_000.0, 5.0), nice_step(0.9, 8.0)];
        assert_eq!(steps, [2.0, 100_000.0, 0.2]);
    }

    #[test]
    fn labels_are_short() {
        let labels = [round_micros(0.5), round_micros(20.0), round_micros(5e3), round_micros(1e6)];
        assert_eq!(labels, ["500 ns", "20 µs", "5 ms", "1 s"]);
        let labels = [round_count(0.0), round_count(2_000.0), round_count(50_000.0), round_count(1.5e6)];
        assert_eq!(labels, ["0", "2,000", "50 k", "1.5 M"]);
    }

    #[test]
    fn nothing_measured_is_nothing_drawn() {
        let empty = Series::new("sled");
        assert_eq!(latencies(&[&empty]), "");
        assert_eq!(throughput(&[&empty]), "");
    }
}
