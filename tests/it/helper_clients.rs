//! Helpers under the real clients that need no network: Docker's login, kubectl, Terraform, AWS's and pip's. Each
//! talks to a server on loopback that keeps what arrived.

use std::{path::PathBuf, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    helper::{links, program, with_static},
    support::{Home, Ran, run, skipped},
    upstream::{Seen, Upstream},
};

/// A program on the caller's PATH; behind pyenv's stand-in the program itself.
fn installed(name: &str) -> Option<PathBuf> {
    let which = "pyenv which \"$0\" 2>/dev/null || command -v \"$0\"";
    let found = Command::new("/bin/sh").args(["-c", which, name]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    path.is_absolute().then_some(path)
}

fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn arrived(upstream: &Upstream, header: &str) -> bool {
    let header = header.to_owned();
    upstream.seen().iter().any(|seen: &Seen| seen.head.lines().any(|line| line.eq_ignore_ascii_case(&header)))
}

fn write(home: &Home, path: &str, text: &str) -> PathBuf {
    let path = home.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

fn all(ran: &Ran) -> String {
    format!("{}\n{}", ran.out(), ran.err())
}

#[test]
fn docker_asks_a_registry_with_what_it_is_given() {
    let Some(docker) = installed("docker") else { return skipped("this machine has no docker") };
    let (home, secret) = with_static();
    let basic = format!("Basic {}", STANDARD.encode(format!("me:{secret}")));
    let known = basic.clone();
    let manifest = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}";
    let (registry, _) = Upstream::tls(move |seen| {
        if !seen.head.contains(&known) {
            return json("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"here\"", "{}");
        }
        json("200 OK", if seen.head.contains("/manifests/") { manifest } else { "{}" })
            .replace("application/json", "application/vnd.oci.image.index.v1+json")
    });
    let server = format!("127.0.0.1:{}", registry.port);
    write(&home, "docker/config.json", "{\"credsStore\":\"hallpass\"}");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", links(&home).display());
    let inspect = || {
        let image = format!("{server}/acme/web:latest");
        let mut command = program(&home, &docker, &["manifest", "inspect", "--insecure", &image]);
        command.env("DOCKER_CONFIG", home.path().join("docker")).env("PATH", &path);
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        run(command, b"")
    };
    home.does(&format!("helper add docker https://{server} vault:release --username me"));
    let denied = inspect();
    assert!(
        denied.code() != 0 && denied.err().contains("hallpass grant add human 'vault:release'"),
        "{}",
        all(&denied)
    );
    home.does("grant add human vault:release");
    let done = inspect();
    assert!(arrived(&registry, &format!("Authorization: {basic}")), "{}\n{:?}", all(&done), registry.seen());
}

#[test]
fn kubectl_sends_the_token() {
    let Some(kubectl) = installed("kubectl") else { return skipped("this machine has no kubectl") };
    let (home, secret) = with_static();
    let (cluster, certificate) = Upstream::tls(|_| json("200 OK", "{\"major\":\"1\",\"minor\":\"30\"}"));
    let server = format!("https://127.0.0.1:{}", cluster.port);
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  \
         user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: {}\n      \
         args: [helper, kubectl]\n      interactiveMode: Never\n      provideClusterInfo: true\n",
        STANDARD.encode(certificate),
        env!("CARGO_BIN_EXE_hallpass")
    );
    let config = write(&home, "kubeconfig", &config);
    let get =
        || run(program(&home, &kubectl, &["--kubeconfig", config.to_str().unwrap(), "get", "--raw", "/version"]), b"");
    home.does(&format!("helper add kubectl cluster:{server} vault:release"));
    let denied = get();
    assert!(
        denied.code() != 0 && denied.err().contains("hallpass grant add human 'vault:release'"),
        "{}",
        all(&denied)
    );
    home.does("grant add human vault:release");
    let got = get();
    assert_eq!(got.code(), 0, "{}", all(&got));
    assert!(arrived(&cluster, &format!("Authorization: Bearer {secret}")), "{:?}", cluster.seen());
}

#[test]
fn terraform_sends_the_token() {
    let Some(terraform) = installed("terraform") else { return skipped("this machine has no terraform") };
    let (home, secret) = with_static();
    let (registry, certificate) = Upstream::tls(|seen| {
        let discovery = seen.head.contains("/.well-known/terraform.json");
        json("200 OK", if discovery { "{\"modules.v1\":\"/modules/\"}" } else { "{\"modules\":[]}" })
    });
    let host = format!("127.0.0.1:{}", registry.port);
    home.ok(["helper", "link", home.path().join(".terraform.d/plugins").to_str().unwrap()]);
    write(&home, ".terraformrc", "disable_checkpoint = true\ncredentials_helper \"hallpass\" {\n  args = []\n}\n");
    let module = format!("module \"x\" {{\n  source = \"{host}/acme/web/test\"\n  version = \"1.0.0\"\n}}\n");
    let main = write(&home, "tf/main.tf", &module);
    let certificate = write(&home, "ca.pem", &certificate);
    let init = || {
        let mut command = program(&home, &terraform, &["init", "-no-color", "-input=false"]);
        command.current_dir(main.parent().unwrap()).env("SSL_CERT_FILE", &certificate);
        run(command, b"")
    };
    home.does(&format!("helper add terraform https://{host} vault:release"));
    home.does("grant add human vault:release");
    let ran = init();
    assert!(arrived(&registry, &format!("Authorization: Bearer {secret}")), "{}\n{:?}", all(&ran), registry.seen());
}

#[test]
fn aws_signs_with_the_key() {
    let Some(aws) = installed("aws") else { return skipped("this machine has no aws") };
    let (home, _) = with_static();
    let sts = Upstream::judging(|_| json("200 OK", "<GetCallerIdentityResponse/>"));
    let config = format!(
        "[profile work]\nregion = us-east-1\ncredential_process = {} helper aws --profile work\n",
        env!("CARGO_BIN_EXE_hallpass")
    );
    let config = write(&home, "aws", &config);
    let url = format!("http://127.0.0.1:{}", sts.port);
    let call = || {
        let args = ["--profile", "work", "--endpoint-url", &url, "sts", "get-caller-identity"];
        let mut command = program(&home, &aws, &args);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_EC2_METADATA_DISABLED", "true");
        run(command, b"")
    };
    home.does("helper add aws profile:work vault:release --username KEYID");
    let denied = call();
    assert!(
        denied.code() != 0 && denied.err().contains("hallpass grant add human 'vault:release'"),
        "{}",
        all(&denied)
    );
    assert_eq!(sts.count(), 0);
    home.does("grant add human vault:release");
    let ran = call();
    let signed = sts.seen().iter().any(|seen| seen.head.contains("AWS4-HMAC-SHA256 Credential=KEYID/"));
    assert!(signed, "{}\n{:?}", all(&ran), sts.seen());
}

#[test]
fn pip_asks_keyring() {
    let Some(pip) = installed("pip") else { return skipped("this machine has no pip") };
    let (home, secret) = with_static();
    let basic = format!("Basic {}", STANDARD.encode(format!("me:{secret}")));
    let known = basic.clone();
    let index = Upstream::judging(move |seen| {
        if seen.head.contains(&known) {
            return json("404 Not Found", "");
        }
        json("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"here\"", "")
    });
    let folder = home.path().join("only-pip");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hallpass"), folder.join("keyring")).unwrap();
    home.does(&format!("helper add keyring http://127.0.0.1:{} vault:release", index.port));
    home.does("grant add human vault:release");
    let url = format!("http://me@127.0.0.1:{}/simple", index.port);
    let args =
        ["download", "--no-input", "--retries=0", "--keyring-provider", "subprocess", "--index-url", &url, "sample"];
    let mut command = program(&home, &pip, &args);
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()));
    command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let ran = run(command, b"");
    assert!(arrived(&index, &format!("Authorization: {basic}")), "{}\n{:?}", all(&ran), index.seen());
}
