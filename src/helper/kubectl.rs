//! `hallpass helper kubectl [CLUSTER]`: kubectl's exec plugin
//! (kubernetes.io/docs/reference/config-api/client-authentication.v1).
//!
//! Owns `ExecCredential`: the cluster's URL comes in `KUBERNETES_EXEC_INFO` where the kubeconfig has
//! `provideClusterInfo: true`, else as an argument; a token and its end go out, or a client's certificate with its key
//! where that is what the credential is (both as PEM).

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Call, Daemon, Output, Tool, bad};
use crate::{
    api::{helper::HelperRequest, problem::Code},
    error::{Error, Result},
};

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "apiVersion")]
    version: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize, Default)]
struct Spec {
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    server: String,
}

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    get(call, daemon).unwrap_or_else(|error| Output::failed(&error))
}

fn get(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Output> {
    let (version, server) = match (call.env)("KUBERNETES_EXEC_INFO") {
        None => (V1, None),
        Some(text) => {
            let info: Info =
                serde_json::from_str(&text).map_err(|_| bad("KUBERNETES_EXEC_INFO is not what kubectl sets"))?;
            let version = match info.version.as_str() {
                V1 => V1,
                V1BETA1 => V1BETA1,
                _ => {
                    return Err(
                        bad("kubectl asks for a version that is not known here").hint(format!("apiVersion: {V1}"))
                    );
                }
            };
            (version, info.spec.cluster.map(|cluster| cluster.server).filter(|server| !server.is_empty()))
        }
    };
    // Without a cluster there is still what `--want` says.
    let cluster = call.arg(0).map(str::to_owned).or(server);
    let url = format!("cluster:{}", cluster.as_deref().unwrap_or("unknown"));
    let given = daemon.ask(HelperRequest { tool: Tool::Kubectl.word().into(), url, ..HelperRequest::default() });
    let given = given.map_err(|error| match (error.code, cluster.is_some()) {
        (Code::NotFound, false) => Error::new(Code::NotFound, "kubectl did not say which cluster it is for")
            .hint("set provideClusterInfo: true in the kubeconfig's exec, or add the cluster's name to its args"),
        _ => error,
    })?;
    let mut status = match pem(given.secret.expose()) {
        Some((certificate, key)) => {
            json!({ "clientCertificateData": certificate.as_str(), "clientKeyData": key.as_str() })
        }
        None => json!({ "token": given.secret.expose() }),
    };
    if let (Some(at), Some(members)) = (given.expires_at, status.as_object_mut()) {
        members.insert("expirationTimestamp".into(), at.into());
    }
    Ok(Output::json(&json!({ "apiVersion": version, "kind": "ExecCredential", "status": status })))
}

/// The certificates and the keys of a text that has both, each with its lines as they are.
fn pem(text: &str) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let (mut certificates, mut keys) = (Zeroizing::new(String::new()), Zeroizing::new(String::new()));
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (kind, _) = after.split_once("-----")?;
        let end = format!("-----END {kind}-----");
        let length = after.find(&end)? + end.len();
        let to = if kind == "CERTIFICATE" { &mut certificates } else { &mut keys };
        to.push_str("-----BEGIN ");
        to.push_str(after.get(..length)?);
        to.push('\n');
        rest = after.get(length..)?;
    }
    (!certificates.is_empty() && !keys.is_empty()).then_some((certificates, keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::SecretText, helper::testing::Fake};

    const INFO: &str = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"cluster":{"server":"https://k8s:6443","config":null},"interactive":false}}"#;

    #[test]
    fn the_documented_exchange() {
        let mut fake = Fake::token();
        let output =
            fake.run_in(Tool::Kubectl, &[], b"", &|name| (name == "KUBERNETES_EXEC_INFO").then(|| INFO.into()));
        let said: serde_json::Value = serde_json::from_str(&output.out).unwrap();
        let status = json!({ "token": "S3CRET", "expirationTimestamp": "2026-01-02T03:04:05Z" });
        assert_eq!(said, json!({ "apiVersion": V1BETA1, "kind": "ExecCredential", "status": status }));
        let output = fake.run(Tool::Kubectl, &["work"], b"");
        assert!(output.out.contains("k8s.io/v1\""), "{}", output.out.as_str());
        let asked: Vec<&str> = fake.asked.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(asked, ["cluster:https://k8s:6443", "cluster:work"]);
        let output = Fake::error(Code::NotFound).run(Tool::Kubectl, &[], b"");
        assert!(output.code == 1 && output.out.is_empty() && output.say.unwrap().contains("provideClusterInfo"));
        let output = fake.run_in(Tool::Kubectl, &[], b"", &|_| Some("{".into()));
        assert!(output.code == 1 && output.out.is_empty());
    }

    #[test]
    fn a_certificate_goes_out_with_its_key() {
        let block = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        let (certificate, key) = (block("CERTIFICATE"), block("EC PRIVATE KEY"));
        let given = |text: String| {
            let mut fake = Fake::credential(None);
            fake.says =
                fake.says.map(|said| crate::api::helper::HelperAnswer { secret: SecretText::new(text), ..said });
            let output = fake.run(Tool::Kubectl, &["work"], b"");
            serde_json::from_str::<serde_json::Value>(&output.out).unwrap()["status"].clone()
        };
        let both = given(format!("{key}\n{certificate}{certificate}"));
        assert_eq!(both, json!({ "clientCertificateData": certificate.repeat(2), "clientKeyData": key }));
        // Half of it is no way to sign in, and is left to the server to refuse.
        assert!(given(key)["token"].is_string());
    }
}
