//! The device as an issuer: its keys rest in the store alone, others believe what they sign, and every kind of issuer that is
//! proved by it says what is wrong with a server's answer.

use std::process::Command;

use super::{
    support::{Home, random, run},
    upstream::Upstream,
};

fn started() -> Home {
    let home = Home::started();
    home.does("identity init --issuer https://hallpass.example/d1");
    home.does("principal add bot --kind agent");
    home
}

fn http(status: &str, kind: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn json(body: &serde_json::Value) -> String {
    http("200 OK", "application/json", "", &body.to_string())
}

/// The claims of a JWT; whether its signature is right the peers' tests ask others.
fn claims(jwt: &str) -> serde_json::Value {
    use base64::Engine as _;
    let part = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn keys_are_made_once_and_rotated_with_an_overlap() {
    let home = started();
    home.fails("identity init", 1, "exists");
    let before = home.json("identity show");
    assert_eq!(before["issuer"], "https://hallpass.example/d1");
    let kids = |of: &serde_json::Value| -> Vec<String> {
        of["jwks"]["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kids(&before).len(), 2);
    assert!(!before.to_string().contains("\"d\""), "only public members");
    let after = home.json("identity rotate --overlap 2d");
    assert_eq!(kids(&after).len(), 4, "the old keys stay for a while");
    assert!(kids(&before).iter().all(|kid| kids(&after).contains(kid)));
    let jwks = home.json("identity jwks");
    assert_eq!(jwks, after["jwks"]);
    let audit = home.does("audit query --event identity.rotate --json");
    assert!(audit.contains("identity.rotate"), "{audit}");
}

#[test]
fn a_certificate_is_one_that_openssl_takes_and_of_our_key() {
    let home = started();
    home.fails("identity certificate --self-signed --days 0", 1, "invalid_value");
    let pem = home.does("identity certificate --self-signed --days 30 --name ada");
    let openssl = |args: &[&str], input: &str| {
        let mut command = Command::new("openssl");
        command.args(args);
        run(command, input.as_bytes()).ok()
    };
    let said = openssl(&["x509", "-noout", "-subject", "-ext", "basicConstraints,keyUsage"], &format!("{pem}\n"));
    assert!(said.contains("ada") && said.contains("CA:FALSE") && said.contains("Digital Signature"), "{said}");
    let request = home.does("identity certificate --request --alg es256");
    let said = openssl(&["req", "-noout", "-verify", "-subject"], &format!("{request}\n"));
    assert!(said.contains("CN"), "{said}");
    // A CA that signs the request, and one that signs another key.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("csr"), request).unwrap();
    let subject = ["-subj", "/CN=ca"];
    let (ca, key, leaf) = (at("ca"), at("key"), at("leaf"));
    openssl(
        &[&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &ca], &subject[..]].concat(),
        "",
    );
    openssl(&["x509", "-req", "-in", &at("csr"), "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-out", &leaf], "");
    let chain = std::fs::read_to_string(&leaf).unwrap() + &std::fs::read_to_string(&ca).unwrap();
    home.run(["identity", "certificate", "--install", "--alg", "es256"], &chain).ok();
    let wrong = std::fs::read_to_string(&ca).unwrap();
    let refused = home.run(["identity", "certificate", "--install", "--alg", "es256"], &wrong);
    assert_eq!(refused.code(), 1);
    let certificates = home.json("identity show")["certificates"].as_array().unwrap().len();
    assert_eq!(certificates, 2);
}

#[test]
fn an_assertion_is_for_its_audience_and_about_who_asks() {
    let home = started();
    home.does("issuer add assertion who --audience https://api.example --env WHO_TOKEN");
    home.does("grant add bot who:assert --ttl 10m");
    let minted = home.json("mint who:assert --as bot --ttl 5m");
    let jwt = minted["access_token"].as_str().unwrap();
    let said = claims(jwt);
    assert_eq!(said["aud"], "https://api.example");
    assert_eq!(said["iss"], "https://hallpass.example/d1");
    assert!(said["sub"].as_str().unwrap().ends_with("/bot"), "{said}");
    assert!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap() <= 330);
    assert_eq!(minted["revocable"], false);
    let task = home.json("task start triage --as bot")["id"].as_str().unwrap().to_owned();
    let two = home.does(&format!("mint who:assert --task {task}"));
    let said = claims(&two);
    assert!(said["sub"].as_str().unwrap().ends_with(&format!("/bot/{task}")) && said["jti"] != claims(jwt)["jti"]);
    home.fails("mint who:assert@x --as bot", 1, "invalid_value");
    // A file of it, for an SDK that exchanges it itself; the daemon keeps it fresh.
    let file = home.does("render add who --as bot --ttl 10m who:assert");
    let text = std::fs::read_to_string(file.trim()).unwrap();
    assert_eq!(claims(&text)["aud"], "https://api.example");
}

/// Each kind, at a server of this port: the arguments of `issuer add`, what is asked, and how many calls come before the one
/// that is answered badly.
fn kinds(port: u16, name: &str) -> Vec<(&'static str, String, &'static str)> {
    let url = format!("http://127.0.0.1:{port}");
    let provider = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/d";
    let role = "arn:aws:iam::123456789012:role/agents";
    let anywhere = "--trust-anchor arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a --profile arn:aws:rolesanywhere:eu-west-1:1:profile/p";
    [
        ("anthropic", format!("--rule fdrl_1 --organization o --base-url {url}"), "workspace:inference"),
        ("openai", format!("--provider p --service-account s --token-url {url}/t"), "api"),
        ("openrouter", format!("--token-url {url}/t"), "api"),
        ("gcp", format!("--provider {provider} --sts-url {url}/t --iam-url {url}"), "cloud:read"),
        (
            "gcp",
            format!(
                "--provider {provider} --service-account a@p.iam.gserviceaccount.com --sts-url {url}/t --iam-url {url}"
            ),
            "cloud:read",
        ),
        ("aws", format!("--credential key --region eu-west-1 --role {role} --base-url {url}"), "s3:GetObject"),
        ("aws", format!("--via web-identity --region eu-west-1 --role {role} --base-url {url}"), "s3:GetObject"),
        ("aws", format!("--via session-token --credential key --region eu-west-1 --base-url {url}"), "session"),
        (
            "aws",
            format!("--via roles-anywhere --region eu-west-1 --role {role} {anywhere} --base-url {url}"),
            "session",
        ),
    ]
    .into_iter()
    .chain([
        ("entra", format!("--tenant t --client-id c --scope graph=https://graph.example --base-url {url}"), "graph"),
        ("vault", format!("--base-url {url} --login-role r"), "reader"),
        ("vault", format!("--base-url {url} --credential key --secret database/creds/x"), "secret"),
    ])
    .map(|(kind, args, scope)| (kind, format!("issuer add {kind} {name} {args} --allow-private"), scope))
    .collect()
}

#[test]
fn every_kind_says_what_is_wrong_with_its_server_and_repeats_nothing() {
    let leak = "client_secret=hunter2";
    let in_the_past = "<R><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>hunter2</SessionToken>\
        <Expiration>2001-01-01T00:00:00Z</Expiration></R>";
    let long = "x".repeat(3 * 1024 * 1024);
    let past = serde_json::json!({ "access_token": "hunter2", "token_type": "Bearer", "expires_in": -1,
        "accessToken": "hunter2", "expireTime": "2001-01-01T00:00:00Z", "scope": "workspace:inference",
        "credentialSet": [{ "credentials": { "accessKeyId": "ASIA1", "secretAccessKey": "k", "sessionToken": "hunter2",
            "expiration": "2001-01-01T00:00:00Z" } }] })
    .to_string();
    let years = past.replace("-1,", "999999999,").replace("-1}", "999999999}").replace("2001-", "2901-");
    let twice = "{\"access_token\":\"a\",\"access_token\":\"b\",\"token_type\":\"Bearer\",\"expires_in\":60}";
    let said = |status: &str, body: &str| http(status, "application/json", "", body);
    let faults = [
        ("503", said("503 Service Unavailable", leak), "upstream_unreachable"),
        ("429", http("429 Too Many Requests", "text/plain", "retry-after: 600\r\n", leak), "upstream_unreachable"),
        ("HTML", http("200 OK", "text/html", "", &format!("<html>{leak}</html>")), "upstream_refused"),
        (
            "redirect",
            http("307 Temporary Redirect", "text/plain", "location: https://elsewhere.example/\r\n", ""),
            "config",
        ),
        ("twice", said("200 OK", twice), "upstream_refused"),
        ("past", said("200 OK", &past), "upstream_refused"),
        ("past in XML", http("200 OK", "text/xml", "", in_the_past), "upstream_refused"),
        ("years", said("200 OK", &years), "upstream_refused"),
        ("endless", said("200 OK", &format!("{{\"access_token\":\"{long}\"}}")), "upstream_refused"),
        (
            "short of its length",
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"access_token\"".into(),
            "upstream_",
        ),
        ("401", said("401 Unauthorized", &format!("{{\"error\":\"{leak}\"}}")), ""),
    ];
    let home = started();
    home.does("identity certificate --self-signed");
    let secret = format!("AKIA1:{}", random());
    home.run(["credential", "add", "key"], &secret).ok();
    for (fault, answer, code) in faults {
        let answer_of = answer.clone();
        let server = Upstream::judging(move |_| answer_of.clone());
        for (n, (kind, add, scope)) in kinds(server.port, "x-").into_iter().enumerate() {
            // A name of its own: who is left alone for a while is remembered by it.
            let name = format!("x-{}-{n}", fault.replace(' ', "-").to_ascii_lowercase());
            home.does(&add.replace(" x- ", &format!(" {name} ")));
            let ran = home.line(&format!("issuer test {name}:{scope} --json"));
            let told = ran.err() + &ran.out();
            assert_eq!(ran.code(), 1, "{kind} took {fault}: {told}");
            let problem: serde_json::Value = serde_json::from_str(ran.err().trim()).unwrap();
            assert!(problem["code"].as_str().unwrap().starts_with(code), "{kind}, {fault}: {told}");
            assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{kind}, {fault}: {told}");
            for never in ["hunter2", "elsewhere", secret.as_str()] {
                assert!(!told.contains(never), "{kind}, {fault}: {told}");
            }
            home.does(&format!("issuer remove {name}"));
        }
        assert!(server.count() >= 12, "{fault}: each kind asked");
    }
}

#[test]
fn a_scope_that_comes_back_wider_is_no_token() {
    let wider = json(&serde_json::json!({ "access_token": "sk-x", "expires_in": 60, "scope": "workspace:developer" }));
    let server = Upstream::answering(wider);
    let home = started();
    home.does(&format!(
        "issuer add anthropic x --rule fdrl_1 --organization o --base-url http://127.0.0.1:{} --allow-private",
        server.port
    ));
    home.does("grant add bot x:workspace:inference");
    home.fails("mint x:workspace:inference --as bot", 1, "upstream_refused");
    home.fails("mint x:workspace:developer --as bot", 1, "invalid_value");
    assert_eq!(server.count(), 1);
}

#[test]
fn without_an_identity_or_with_a_credential_too_many_it_says_so() {
    let home = Home::started();
    home.does("issuer add openrouter x");
    let problem = home.fails("issuer test x:api", 1, "not_found");
    assert!(problem["hint"].as_str().unwrap().contains("identity init"), "{problem}");
    home.run(["credential", "add", "key"], "AKIA1:secret").ok();
    let role = "arn:aws:iam::123456789012:role/agents";
    home.fails("issuer add aws y --region eu-west-1 --role agents --credential key", 1, "config");
    let web = format!("issuer add aws y --via web-identity --region eu-west-1 --role {role} --credential key");
    home.fails(&web, 1, "invalid_value");
    home.does(&format!("issuer add aws y --region eu-west-1 --role {role} --credential key"));
    home.fails("issuer test y:s3:GetObject@bucket", 1, "invalid_value");
    let shown = home.does("issuer show y");
    assert!(shown.contains("15 min") && shown.contains("for each token"), "{shown}");
}
