//! `hallpass setup`: chooses the store, installs the service, and ends with a first minted token.
//!
//! Asks on the terminal what no flag says. Never switches a store that is in use without being told.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    context::Context,
    input,
    output::{self, BOLD, DIM, GREEN, safe, styled},
    service as service_verb,
};
use crate::{
    api::{
        List,
        credential::{AddCredential, Credential, StoreKind, StoreState},
        grant::AddGrant,
        lease::{Mint, Minted},
        problem::Code,
        route::Route,
        status::Status,
    },
    client::{Client, segment},
    config::{self, Config, StoreConfig},
    error::{Error, Result},
    paths::Paths,
    policy::{Approval, bounds::Bounds},
    principal::HUMAN,
    scope::{Scope, ScopeSet, Wanted, any_resource},
    service,
};

/// Choose the store, install the service, mint a first token.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where credentials rest
    #[arg(long)]
    store: Option<Place>,
    /// The age identity file (`age-keygen -o FILE` makes one) that opens the file store without a passphrase
    #[arg(long, value_name = "PATH")]
    identity: Option<PathBuf>,
    /// Install the service without asking
    #[arg(long, conflicts_with = "no_service")]
    service: bool,
    /// Do not install the service; clients start the daemon when they need it
    #[arg(long)]
    no_service: bool,
    /// The route to add a first credential for, such as openai
    #[arg(long)]
    route: Option<String>,
    /// Do not ask: take what the flags say, else what is in place
    #[arg(long)]
    yes: bool,
}

/// A store that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    /// The operating system's own
    Keyring,
    /// One age-encrypted file
    File,
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let paths = cx.paths()?;
    let asks = !args.yes && !cx.json;
    let changed = choose_store(&paths, &args, asks)?;
    install_service(&paths, &args, asks)?;

    let mut client = restarted(&paths, changed)?;
    let status: Status = client.get("/v1/status")?;
    say(cx, &format!("the daemon runs (process {}), the store is {}", status.pid, status.store.kind));
    if asks && status.store.state != StoreState::Open {
        // A keyring is not looked at before it is used: better now than after a key was typed.
        super::lock::open(&mut client, None).map_err(|error| match (status.store.kind, error.code) {
            (StoreKind::Keyring, Code::StoreUnavailable) => Error {
                hint: Some("start the keyring's service, or run `hallpass setup --store file`".into()),
                ..error
            },
            _ => error,
        })?;
        say(cx, "the store is open");
    } else if status.store.state == StoreState::Locked {
        say(cx, "the store is locked: `hallpass unlock` opens it");
    }
    if changed && status.credentials > 0 {
        say(
            cx,
            "the values stay in the store that was in use before: \
             `hallpass credential rotate NAME` puts each into this one",
        );
    }
    let route = match (&args.route, asks) {
        (Some(route), _) => Some(route.clone()),
        (None, true) => ask_route(&mut client)?,
        (None, false) => None,
    };
    let Some(route) = route else {
        return cx.show(&status, |_| {
            format!("{} `hallpass credential add openai` adds a first key", styled(GREEN, "Set up."))
        });
    };
    first_token(cx, &mut client, &route)
}

fn say(cx: &Context, text: &str) {
    if !cx.json {
        output::note(&format!("{} {}", styled(GREEN, "ok"), safe(text)));
    }
}

/// Writes which store it is to the config; true where that changed something.
fn choose_store(paths: &Paths, args: &Args, asks: bool) -> Result<bool> {
    let config = Config::load(&paths.config())?;
    let wanted = match args.store {
        Some(place) => place,
        None if asks => ask_store(config.store.kind)?,
        None => return Ok(false),
    };
    let kind = match wanted {
        Place::Keyring => StoreKind::Keyring,
        Place::File => StoreKind::File,
    };
    if args.identity.is_some() && kind != StoreKind::File {
        return Err(Error::new(Code::Usage, "--identity belongs to the file store").hint("add --store file"));
    }
    let identity = match &args.identity {
        Some(path) => {
            Some(std::path::absolute(path).map_err(|e| Error::new(Code::Io, format!("{}: {e}", path.display())))?)
        }
        None => config.store.identity.clone().filter(|_| kind == StoreKind::File),
    };
    if let Some(path) = &identity
        && !path.is_file()
    {
        return Err(Error::new(Code::NotFound, format!("there is no identity file {}", path.display()))
            .hint(format!("age-keygen -o {}", super::quote::word(&path.display().to_string()))));
    }
    let chosen = StoreConfig { kind, identity, ..config.store.clone() };
    if chosen == config.store && paths.config().is_file() {
        return Ok(false);
    }
    if kind == StoreKind::File {
        fits(&paths.store_file(), chosen.identity.as_deref())?;
    }
    crate::sys::private_dir(&paths.config_dir)?;
    config::edit::set_store(&paths.config(), &chosen)?;
    Ok(true)
}

/// `age-encryption.org/v1`, a line end and `-> scryp` in base64: how an armored file with a passphrase begins.
const ARMORED_SCRYPT: &[u8] = b"YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlw";

/// Refuses what would make a file that is there already one that nothing opens: what it is sealed with is
/// chosen when it is made.
fn fits(file: &Path, identity: Option<&Path>) -> Result<()> {
    let mut head = Vec::new();
    if std::fs::File::open(file).and_then(|file| file.take(512).read_to_end(&mut head)).is_err() || head.is_empty() {
        return Ok(());
    }
    let has = |stanza: &[u8]| head.windows(stanza.len()).any(|part| part == stanza);
    let shown = file.display();
    let detail = match (has(b"-> scrypt ") || has(ARMORED_SCRYPT), identity) {
        (true, Some(_)) => format!("{shown} is there already and has a passphrase: an identity does not open it"),
        (false, None) => format!("{shown} is there already and is encrypted to an identity: no passphrase opens it"),
        _ => return Ok(()),
    };
    let word = super::quote::word(&shown.to_string());
    let (with, hint) = (format!("mv {word} {word}.old"), "begins anew, without the credentials that are in it");
    Err(Error::new(Code::Exists, detail).hint(format!("`{with}` {hint}")))
}

fn ask_store(now: StoreKind) -> Result<Place> {
    output::note(&format!("{}  where should credentials rest?", styled(BOLD, "store")));
    output::note("  1  keyring: the operating system's own; unlocked with your session");
    output::note("  2  file: one age-encrypted file; you unlock it with a passphrase or an identity file");
    let default = if now == StoreKind::File { "2" } else { "1" };
    match ask(&format!("1 or 2? [{default}]"))?.as_str() {
        "" if default == "2" => Ok(Place::File),
        "" | "1" | "keyring" => Ok(Place::Keyring),
        "2" | "file" => Ok(Place::File),
        _ => Err(Error::new(Code::Usage, "that is neither 1 nor 2").hint("run `hallpass setup` again")),
    }
}

fn ask(question: &str) -> Result<String> {
    input::ask(question).ok_or_else(|| {
        Error::new(Code::Usage, "there is no terminal to ask on").hint("hallpass setup --store file --no-service --yes")
    })
}

fn install_service(paths: &Paths, args: &Args, asks: bool) -> Result<()> {
    let wanted = args.service
        || (asks
            && !args.no_service
            && !matches!(
                ask("Start the daemon with your session, as a service? [Y/n]")?.to_ascii_lowercase().as_str(),
                "n" | "no"
            ));
    if wanted {
        let done = service::install(paths, &service_verb::this_program()?)?;
        output::note(&service_verb::installed(&done));
    }
    Ok(())
}

/// A daemon that has read the config as it is now: one that runs with another store is told to stop.
fn restarted(paths: &Paths, changed: bool) -> Result<Client> {
    let mut client = Client::connect(paths, true)?;
    let status: Status = client.get("/v1/status")?;
    let config = Config::load(&paths.config())?;
    if !changed && status.store.kind == config.store.kind && status.config.error.is_none() {
        return Ok(client);
    }
    drop(client);
    if let Some(pid) = i32::try_from(status.pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while Client::connect(paths, false).is_ok() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Client::connect(paths, true)
}

fn ask_route(client: &mut Client) -> Result<Option<String>> {
    let routes: List<Route> = client.get("/v1/routes")?;
    let names: Vec<&str> = routes.items.iter().map(|route| route.name.as_str()).collect();
    output::note(&format!(
        "{}  {}",
        styled(BOLD, "routes"),
        styled(DIM, "where hallpass knows the API and its scopes")
    ));
    for line in columns(&names, 90) {
        output::note(&format!("  {}", styled(DIM, &safe(&line))));
    }
    loop {
        let name = ask("Add a first key for which of them? (nothing: later)")?;
        if name.is_empty() {
            return Ok(None);
        }
        if names.contains(&name.as_str()) {
            return Ok(Some(name));
        }
        output::note("that is none of them; `hallpass route add` can add it later");
    }
}

/// Words in lines of at most this many characters.
fn columns(words: &[&str], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push((*word).to_owned()),
        }
    }
    lines
}

/// Adds the route's credential where there is none, a grant for the human, and mints.
fn first_token(cx: &Context, client: &mut Client, name: &str) -> Result<u8> {
    let route: Route = client.get(&format!("/v1/routes/{}", segment(name)))?;
    let scope = route.scopes.first().ok_or_else(|| Error::new(Code::NotFound, format!("{name} has no scopes")))?;
    let scope: Scope =
        scope.name.parse().map_err(|e: crate::scope::ScopeError| Error::new(Code::Internal, e.to_string()))?;
    match client.get::<Credential>(&format!("/v1/credentials/{}", segment(name))) {
        Ok(_) => say(cx, &format!("there is a credential {name}")),
        Err(e) if e.code == Code::NotFound => {
            let given = input::secret(&format!("value of {name}"), None)?;
            let body = AddCredential {
                name: name.into(),
                value: given.value,
                route: None,
                base_url: None,
                owner: None,
                source: Some(given.source.into()),
            };
            let kept: Credential = client.post("/v1/credentials", &body)?;
            say(cx, &format!("{} is in the store", kept.name));
        }
        Err(e) => return Err(e),
    }
    let what = Wanted { issuer: name.into(), scopes: ScopeSet::new([scope]), resources: any_resource() };
    let grant = AddGrant {
        principal: HUMAN.into(),
        what: what.clone(),
        max_ttl_seconds: Some(3600),
        approval: Approval::Auto,
        body: Bounds::default(),
        rate: None,
    };
    match client.post::<_, serde_json::Value>("/v1/grants", &grant) {
        Ok(_) => say(cx, &format!("you may have {what} for at most an hour")),
        Err(e) if e.code == Code::Exists => say(cx, &format!("you may have {what}")),
        Err(e) => return Err(e),
    }
    let mint = Mint {
        what,
        ttl_seconds: Some(900),
        task: None,
        claim: None,
        subject_token: None,
        uses: None,
        rate: None,
        wait_seconds: None,
    };
    let minted: Minted = client.post("/v1/mint", &mint)?;
    let token = minted.access_token.expose();
    let shown = format!("{}...", token.get(..8).unwrap_or_default());
    cx.show(&serde_json::json!({ "token": shown, "lease": minted.lease, "expires_at": minted.expires_at }), |_| {
        format!(
            "{} your first token: {shown} (lease {}, ends {})\n{}",
            styled(GREEN, "Set up."),
            safe(&minted.lease),
            super::when::relative(&minted.expires_at, super::when::now()),
            styled(DIM, &format!("try: hallpass exec --grant {name}:{} -- env", minted.scope))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_what_it_is_sealed_with() {
        let dir = tempfile::tempdir().unwrap();
        let (file, identity) = (dir.path().join("c.age"), Path::new("key.txt"));
        assert!(fits(&file, Some(identity)).is_ok() && fits(&file, None).is_ok());
        let binary = "age-encryption.org/v1\n-> scrypt aaaa 18\nbbbb\n".to_owned();
        let armored = format!("-----BEGIN AGE ENCRYPTED FILE-----\n{}dCBh\n", str::from_utf8(ARMORED_SCRYPT).unwrap());
        for head in [binary, armored] {
            std::fs::write(&file, head).unwrap();
            assert!(fits(&file, None).is_ok());
            assert_eq!(fits(&file, Some(identity)).unwrap_err().code, Code::Exists);
        }
        std::fs::write(&file, "age-encryption.org/v1\n-> X25519 aaaa\nbbbb\n").unwrap();
        assert!(fits(&file, Some(identity)).is_ok());
        assert_eq!(fits(&file, None).unwrap_err().code, Code::Exists);
    }
}
