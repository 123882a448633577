//! The worker, the cache and the deadline, over stores that hang, fail and come back.

use super::*;

mod doubles;

use doubles::{Gate, Gated, Panics};

fn config(cache: Duration, deadline: Duration) -> StoreConfig {
    StoreConfig { kind: StoreKind::Memory, file: None, identity: None, cache, deadline }
}

fn gated(cache: Duration, deadline: Duration) -> (Store, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let own = Arc::clone(&gate);
    let make: worker::Make = Box::new(move || Box::new(Gated(Arc::clone(&own), memory::Memory::default())));
    (Store::over(make, "a test".into(), &config(cache, deadline)), gate)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn secret(text: &str) -> Secret {
    Secret::take_string(text.into())
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(40);

#[test]
fn values_come_and_go() {
    run(async {
        let paths = Paths::under(std::path::Path::new("/nowhere"), None);
        let store = Store::start(&config(LONG, LONG), &paths);
        assert_eq!(store.get("a").await.unwrap_err(), StoreError::NotFound);
        store.put("a", secret("1")).await.unwrap();
        store.rename("a", "b").await.unwrap();
        store.rename("a", "b").await.unwrap();
        store.put("c", secret("other")).await.unwrap();
        assert!(matches!(store.rename("b", "c").await, Err(StoreError::Io(_))));
        assert_eq!(store.get("b").await.unwrap().expose(), b"1");
        assert_eq!(store.get("a").await.unwrap_err(), StoreError::NotFound);
        store.lock().await.unwrap();
        assert_eq!(store.get("b").await.unwrap_err(), StoreError::Locked);
        assert_eq!(store.status().await.state, StoreState::Locked);
        store.unlock(None).await.unwrap();
        store.remove("b").await.unwrap();
        assert_eq!(store.remove("b").await, Err(StoreError::NotFound));
        assert_eq!(store.status().await.state, StoreState::Open);
        assert!(!format!("{store:?}").contains("other"));
    });
}

#[test]
fn a_cached_value_needs_no_worker_and_a_change_is_seen_at_once() {
    run(async {
        let (store, gate) = gated(LONG, LONG);
        store.put("a", secret("1")).await.unwrap();
        store.get("a").await.unwrap();
        gate.set(true);
        assert_eq!(store.get("a").await.unwrap().expose(), b"1");
        assert_eq!(gate.reads(), 1);
        gate.set(false);
        store.put("a", secret("2")).await.unwrap();
        assert_eq!(store.get("a").await.unwrap().expose(), b"2");
        store.lock().await.unwrap();
        assert_eq!(store.get("a").await.unwrap_err(), StoreError::Locked);
        let (uncached, gate) = gated(Duration::ZERO, LONG);
        uncached.put("a", secret("1")).await.unwrap();
        uncached.get("a").await.unwrap();
        uncached.get("a").await.unwrap();
        assert_eq!(gate.reads(), 2);
    });
}

#[test]
fn a_call_that_hangs_times_out_and_the_next_one_has_another_thread() {
    run(async {
        let (store, gate) = gated(LONG, SHORT);
        gate.set(true);
        assert_eq!(store.get("a").await.unwrap_err(), StoreError::Timeout);
        // `lock` does not go through the gate: only a new thread can answer.
        store.lock().await.unwrap();
        assert_eq!(store.status().await.state, StoreState::Locked);
        gate.set(false);
    });
}

#[test]
fn at_most_four_threads_hang_and_it_recovers_when_they_return() {
    run(async {
        let (store, gate) = gated(LONG, SHORT);
        gate.set(true);
        for _ in 0..worker::MOST_STUCK {
            assert_eq!(store.get("a").await.unwrap_err(), StoreError::Timeout);
        }
        assert!(matches!(store.get("a").await.unwrap_err(), StoreError::Unavailable(_)));
        assert_eq!(store.status().await.state, StoreState::Unavailable);
        assert_eq!(gate.reads(), worker::MOST_STUCK);
        gate.set(false);
        let deadline = std::time::Instant::now() + LONG;
        while store.get("a").await.unwrap_err() != StoreError::NotFound {
            assert!(std::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_change_that_was_given_up_does_not_happen_later() {
    run(async {
        let (store, gate) = gated(LONG, SHORT);
        gate.set(true);
        assert_eq!(store.put("a", secret("late")).await, Err(StoreError::Timeout));
        gate.set(false);
        assert_eq!(store.get("a").await.unwrap_err(), StoreError::NotFound);
    });
}

#[test]
fn a_caller_that_goes_away_costs_the_store_nothing_and_a_hung_call_is_still_given_up() {
    run(async {
        let (store, gate) = gated(Duration::ZERO, SHORT);
        store.put("a", secret("1")).await.unwrap();
        let hang_up = async |reads: usize| {
            let read = store.get("a");
            let gone = async {
                while gate.reads() < reads {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! { biased; () = gone => {}, _ = read => panic!("the gate is closed") }
        };
        gate.set(true);
        hang_up(1).await;
        gate.set(false);
        // The memory backend of the same thread is still the one with the value.
        assert_eq!(store.get("a").await.unwrap().expose(), b"1");
        gate.set(true);
        hang_up(3).await;
        // Nobody waits for it, and yet it does not block the store for good.
        let deadline = std::time::Instant::now() + LONG;
        while store.remove("b").await != Err(StoreError::NotFound) {
            assert!(std::time::Instant::now() < deadline);
        }
        gate.set(false);
    });
}

#[test]
fn calls_behind_one_that_hangs_are_made_by_the_next_thread() {
    run(async {
        let (store, gate) = gated(LONG, Duration::from_millis(300));
        gate.set(true);
        let first = store.get("a");
        let second = async {
            // Behind the first one, and answered after it was given up.
            while gate.reads() == 0 {
                tokio::task::yield_now().await;
            }
            store.inner.pool.call(Call::State, LONG).await.map(drop)
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.unwrap_err(), second), (StoreError::Timeout, Ok(())));
        gate.set(false);
    });
}

#[test]
fn while_the_user_is_asked_a_read_is_locked_at_once_and_status_answers() {
    run(async {
        let (store, gate) = gated(LONG, LONG);
        gate.set(true);
        let asked = store.unlock(None);
        let meanwhile = async {
            while !store.inner.pool.is_busy() || store.get("a").await.map(drop) != Err(StoreError::Locked) {
                tokio::task::yield_now().await;
            }
            assert!(store.status().await.detail.unwrap().contains("last known"));
            gate.set(false);
        };
        let (asked, ()) = tokio::join!(asked, meanwhile);
        asked.unwrap();
        assert_eq!(store.get("a").await.unwrap_err(), StoreError::NotFound);
    });
}

#[test]
fn a_panic_in_a_store_is_an_error_and_the_next_call_has_another_thread() {
    run(async {
        let make: worker::Make = Box::new(|| Box::new(Panics(memory::Memory::default())));
        let store = Store::over(make, "a test".into(), &config(LONG, LONG));
        for _ in 0..worker::MOST_STUCK + 2 {
            assert!(matches!(store.get("a").await, Err(StoreError::Unavailable(_))));
            store.put("a", secret("1")).await.unwrap();
        }
    });
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let (store, gate) = gated(LONG, LONG);
    let second = store.clone();
    run(second.put("a", secret("1"))).unwrap();
    drop(store);
    run(second.get("a")).unwrap();
    drop(second);
    let deadline = std::time::Instant::now() + LONG;
    // The thread's backend and its maker hold the gate; both go with the thread.
    while Arc::strong_count(&gate) > 1 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn every_error_has_its_own_next_step() {
    use crate::api::problem::Code;
    let cases = [
        (StoreError::Locked, Code::StoreLocked, "hallpass unlock"),
        (StoreError::Unavailable("x".into()), Code::StoreUnavailable, "doctor"),
        (StoreError::Timeout, Code::StoreTimeout, "prompt"),
        (StoreError::NotFound, Code::NotFound, "credential list"),
        (StoreError::WrongPassphrase, Code::WrongPassphrase, "unlock"),
        (StoreError::Damaged("x".into()), Code::StoreUnavailable, "copy"),
        (StoreError::Io("x".into()), Code::Io, "disk"),
    ];
    for (error, code, word) in cases {
        let shown = crate::error::Error::from(error);
        assert_eq!(shown.code, code);
        assert!(shown.hint.unwrap().contains(word), "{code:?}");
    }
}
