//! `hallpass helper kubectl [CLUSTER]`: kubectl's exec plugin
//! (kubernetes.io/docs/reference/config-api/client-authentication.v1).
//!
//! Owns `ExecCredential`: the cluster's URL comes in `KUBERNETES_EXEC_INFO` where the kubeconfig has
//! `provideClusterInfo: true`, else as an argument; a token and its end go out.

use serde::Deserialize;
use serde_json::json;

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
    let mut status = json!({ "token": given.secret.expose() });
    if let (Some(at), Some(members)) = (given.expires_at, status.as_object_mut()) {
        members.insert("expirationTimestamp".into(), at.into());
    }
    Ok(Output::json(&json!({ "apiVersion": version, "kind": "ExecCredential", "status": status })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::testing::Fake;

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
}
