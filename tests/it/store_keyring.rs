//! The `keyring` store against a real gnome-keyring.
//!
//! Runs only under `tests/peers/secret_service.sh`, which gives it a session bus and a home of its own and
//! sets HALLPASS_TEST_SECRET_SERVICE=1; without that it says so and does nothing, so that `cargo test` never
//! touches the keyring of whoever runs it.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use hallpass::{
    api::credential::{StoreKind, StoreState},
    config::StoreConfig,
    paths::Paths,
    secret::Secret,
    store::{Store, StoreError},
};

const DEADLINE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// A gnome-keyring-daemon that ends with the test.
struct Daemon(Child);

impl Daemon {
    /// Takes the place of the one that runs, and opens the login keyring with the password.
    fn start(password: &str) -> Self {
        let mut child = Command::new("gnome-keyring-daemon")
            .args(["--replace", "--foreground", "--unlock", "--components=secrets"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon is installed");
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn store() -> Store {
    let config =
        StoreConfig { kind: StoreKind::Keyring, file: None, identity: None, cache: Duration::ZERO, deadline: DEADLINE };
    Store::start(&config, &Paths::under(Path::new("/nowhere"), None))
}

fn secret(text: &str) -> Secret {
    Secret::take_string(text.into())
}

async fn becomes(store: &Store, wanted: StoreState) {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = store.status().await;
        if status.state == wanted {
            return;
        }
        assert!(Instant::now() < end, "still {status:?}, wanted {wanted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The answer, and that it came well within the deadline.
async fn quickly<T>(call: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let answer = call.await;
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    answer
}

#[test]
fn a_real_secret_service_locked_unlocked_and_restarted_under_the_store() {
    if std::env::var_os("HALLPASS_TEST_SECRET_SERVICE").is_none() {
        eprintln!("skipped: run tests/peers/secret_service.sh");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The store is older than the service.
        let store = store();
        let daemon = Daemon::start("password");
        becomes(&store, StoreState::Open).await;
        println!("open");

        assert_eq!(store.get("one").await.unwrap_err(), StoreError::NotFound);
        let value: Vec<u8> = (0..=255).collect();
        store.put("one", Secret::take(value.clone())).await.unwrap();
        assert_eq!(store.get("one").await.unwrap().expose(), value);
        store.put("one", secret("replaced")).await.unwrap();
        assert_eq!(store.get("one").await.unwrap().expose(), b"replaced");
        // What another tool sees: base64 text under our service.
        let seen = Command::new("secret-tool").args(["lookup", "service", "hallpass", "username", "one"]).output();
        assert_eq!(seen.unwrap().stdout, b"cmVwbGFjZWQ=");
        store.rename("one", "two").await.unwrap();
        assert_eq!(store.get("one").await.unwrap_err(), StoreError::NotFound);
        store.put("gone", secret("x")).await.unwrap();
        store.remove("gone").await.unwrap();
        assert_eq!(store.remove("gone").await, Err(StoreError::NotFound));
        println!("put, get, rename, remove");

        store.lock().await.unwrap();
        assert_eq!(quickly(store.get("two")).await.unwrap_err(), StoreError::Locked);
        assert_eq!(quickly(store.put("three", secret("x"))).await, Err(StoreError::Locked));
        assert_eq!(quickly(store.remove("two")).await, Err(StoreError::Locked));
        assert_eq!(quickly(store.get("unheard-of")).await.unwrap_err(), StoreError::Locked);
        assert_eq!(quickly(store.status()).await.state, StoreState::Locked);
        // There is no screen to prompt on here: that must end, and leave it locked.
        let asked = store.unlock(None).await;
        println!("unlock without a screen: {asked:?}");
        assert!(asked.is_err());
        assert_eq!(quickly(store.get("two")).await.unwrap_err(), StoreError::Locked);
        println!("locked");

        let second = Daemon::start("password");
        becomes(&store, StoreState::Open).await;
        assert_eq!(store.get("two").await.unwrap().expose(), b"replaced");
        drop(daemon);
        println!("unlocked by a restart");

        second.kill();
        // Nobody, or one that the bus started by itself and that is locked: never a hang, never a wrong answer.
        let between = quickly(store.get("two")).await.unwrap_err();
        println!("between: {between:?}");
        assert!(matches!(between, StoreError::Locked | StoreError::Unavailable(_)), "{between:?}");
        let third = Daemon::start("password");
        becomes(&store, StoreState::Open).await;
        assert_eq!(store.get("two").await.unwrap().expose(), b"replaced");
        // Restarted with no call in between: the very next call finds the stale connection.
        third.kill();
        let fourth = Daemon::start("password");
        becomes(&self::store(), StoreState::Open).await;
        assert_eq!(store.get("two").await.unwrap().expose(), b"replaced");
        drop(fourth);
        println!("killed and started again");
    });
}
