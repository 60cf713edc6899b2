//! The registry's table under `shuttle`, which does not know the locks of `DashMap`: as much of its face as the runtime uses.
//!
//! One lock for all keys, where `DashMap` has one for each of its shards. Two keys may share a shard there, too, so whoever
//! must not wait here must not there.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::PoisonError;

use shuttle::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// See the module.
pub(crate) struct Table<K, V>(RwLock<BTreeMap<K, V>>);

impl<K: Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Table(RwLock::new(BTreeMap::new()))
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Known<'_, K, V>>
    where
        K: Borrow<Q>,
    {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let value = map.get(key)?.clone();
        Some(Known { value, _map: Some(map) })
    }

    pub(crate) fn entry(&self, key: K) -> Entry<'_, K, V> {
        let map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match map.contains_key(&key) {
            true => Entry::Occupied(Occupied { map, key }),
            false => Entry::Vacant(Vacant { map, key }),
        }
    }

    pub(crate) fn remove_if<Q: Ord + ?Sized>(&self, key: &Q, condition: impl FnOnce(&K, &V) -> bool) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (known, value) = map.get_key_value(key)?;
        if condition(known, value) { map.remove_entry(key) } else { None }
    }

    /// As they were at one moment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Known<'_, K, V>> {
        let values: Vec<V> = self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        values.into_iter().map(|value| Known { value, _map: None })
    }
}

/// A value, with the lock under which it was found.
pub(crate) struct Known<'a, K, V> {
    value: V,
    _map: Option<RwLockReadGuard<'a, BTreeMap<K, V>>>,
}

impl<K, V> Known<'_, K, V> {
    pub(crate) fn value(&self) -> &V {
        &self.value
    }
}

impl<K, V> Deref for Known<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

pub(crate) enum Entry<'a, K, V> {
    Occupied(Occupied<'a, K, V>),
    Vacant(Vacant<'a, K, V>),
}

/// A key's place, locked; there is a value in it.
pub(crate) struct Occupied<'a, K, V> {
    map: RwLockWriteGuard<'a, BTreeMap<K, V>>,
    key: K,
}

impl<K: Ord + Clone, V> Occupied<'_, K, V> {
    pub(crate) fn get(&self) -> &V {
        &self.map[&self.key]
    }

    pub(crate) fn insert(&mut self, value: V) -> Option<V> {
        self.map.insert(self.key.clone(), value)
    }
}

impl<K: Ord + Clone, V> Deref for Occupied<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.get()
    }
}

/// A key's place, locked and empty.
pub(crate) struct Vacant<'a, K, V> {
    map: RwLockWriteGuard<'a, BTreeMap<K, V>>,
    key: K,
}

impl<'a, K: Ord + Clone, V> Vacant<'a, K, V> {
    pub(crate) fn insert(self, value: V) -> Occupied<'a, K, V> {
        let mut occupied = Occupied { map: self.map, key: self.key };
        occupied.insert(value);
        occupied
    }
}
