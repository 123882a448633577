//! `hallpass identity`: this device as an issuer.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    context::Context,
    input,
    output::safe,
    table::{Rows, facts},
    when,
};
use crate::{
    api::identity::{Certified, Certify, CertifyIdentity, Identity, InitIdentity, RotateIdentity},
    error::Result,
    issuer::jws::Algorithm,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make this device's keys; they rest in the store and nowhere else
    Init {
        /// The issuer that its JWTs name: an https URL, which nobody has to be able to fetch
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
    /// The issuer, the public keys and the certificates
    Show,
    /// The public keys as a JSON Web Key Set, to be uploaded where this device is to be believed
    Jwks {
        /// In PEM, for those who take no JWKS
        #[arg(long)]
        pem: bool,
    },
    /// The certificate of a key; make one, ask a CA for one, or take the CA's
    Certificate(Certificate),
    /// Make new keys; the old ones stay in the JWKS for a while
    Rotate {
        /// How long
        #[arg(long, value_name = "TIME", value_parser = when::seconds, default_value = "7d")]
        overlap: u64,
    },
}

#[derive(Debug, Args)]
pub struct Certificate {
    /// The key
    #[arg(long, value_enum, default_value_t = Alg::Rs256)]
    alg: Alg,
    /// Print a request for a CA
    #[arg(long)]
    request: bool,
    /// Sign one here, for those who take a certificate as it is
    #[arg(long, conflicts_with = "request")]
    self_signed: bool,
    /// Take the CA's certificate, and those that lead to it, from standard input
    #[arg(long, conflicts_with_all = ["request", "self_signed"])]
    install: bool,
    /// The subject's common name; the user's where nothing is said
    #[arg(long)]
    name: Option<String>,
    /// For how many days
    #[arg(long, default_value_t = 365)]
    days: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Alg {
    Es256,
    Rs256,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Init { issuer } => cx.post("/v1/identity", &InitIdentity { issuer }, |made: &Identity| {
            format!("{}\n\nhallpass issuer add KIND NAME --wizard says what the other side has to know", render(made))
        }),
        Verb::Show => cx.get("/v1/identity", render),
        Verb::Jwks { pem } => {
            let identity: Identity = cx.client()?.get("/v1/identity")?;
            if pem {
                let all: String = identity.keys.iter().map(|key| key.pem.as_str()).collect();
                return cx.text(all.trim_end());
            }
            super::output::json(&identity.jwks).map(|()| 0)
        }
        Verb::Certificate(args) => certificate(cx, args),
        Verb::Rotate { overlap } => {
            let body = RotateIdentity { overlap_seconds: Some(overlap) };
            cx.post("/v1/identity/rotate", &body, |identity: &Identity| {
                let until = "upload the new ones before the old ones are over: hallpass identity jwks";
                format!("{}\n\n{until}", render(identity))
            })
        }
    }
}

fn certificate(cx: &Context, args: Certificate) -> Result<u8> {
    let alg = match args.alg {
        Alg::Es256 => Algorithm::ES256,
        Alg::Rs256 => Algorithm::RS256,
    };
    let action = if args.request {
        Certify::Request
    } else if args.self_signed {
        Certify::SelfSigned { days: args.days }
    } else if args.install {
        Certify::Install { pem: input::read_all(&mut std::io::stdin().lock())?.expose().to_owned() }
    } else {
        return cx.get("/v1/identity", |identity: &Identity| {
            let own = identity.certificates.iter().find(|one| one.alg == alg);
            own.map_or_else(
                || "there is none; --request prints a request for a CA, --self-signed makes one".into(),
                |one| one.pem.trim_end().to_owned(),
            )
        });
    };
    let body = CertifyIdentity { alg, name: args.name, action };
    cx.post("/v1/identity/certificate", &body, |made: &Certified| made.pem.trim_end().to_owned())
}

fn render(identity: &Identity) -> String {
    let mut rows = Rows::new(&["key", "signs", "leaves the JWKS"]);
    for key in &identity.keys {
        let until = when::relative_or(key.until.as_deref(), "when it is rotated", when::now());
        rows.row(&[&key.kid, key.alg.word(), &until]);
    }
    let certificates = identity.certificates.iter();
    let certificates: Vec<String> = certificates
        .map(|one| format!("{} {}, over {}", one.alg.word(), one.serial, when::relative(&one.expires_at, when::now())))
        .collect();
    let facts = facts(&[("issuer", safe(&identity.issuer)), ("certificates", certificates.join(", "))]);
    format!("{facts}\n\n{}", rows.render("no keys"))
}
