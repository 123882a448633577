//! Developer tools adopted: the key's file and the tool's settings change together and come back together.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    adopt::Jo,
    canary,
    support::{random, run},
};

/// Text that the rules take for a key of GitLab's, put together here. The canary looks for longer ones.
fn key() -> String {
    ["glpat", "-", &random()[..20]].concat()
}

fn secret() -> String {
    let text = format!("{}k", &STANDARD.encode(random())[..39]);
    canary::watch(&text);
    text
}

fn access_key() -> String {
    let letters = random().to_ascii_uppercase().replace(['0', '1', '8', '9'], "B");
    ["AK", "IA", &letters[..16]].concat()
}

#[test]
fn a_git_credential_goes_and_a_config_that_was_made_for_it_goes_again() {
    let (jo, key) = (Jo::new(), key());
    let text = format!("https://jo:{key}@code.example/acme/web.git\n");
    let file = jo.file(".git-credentials", &text);
    let config = jo.folder.join(".gitconfig");
    let shown = jo.run("adopt git --dry-run").ok();
    assert!(shown.contains("gitlab:release@acme/web") && !shown.contains(&key) && !config.exists(), "{shown}");
    jo.run("adopt git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "\n");
    let set = fs::read_to_string(&config).unwrap();
    assert!(set.contains("[credential \"https://code.example\"]\nhelper =\nhelper = /"), "{set}");
    let helpers = jo.home.json("helper list");
    let one = &helpers["items"][0];
    assert_eq!((&one["url"], &one["username"]), (&"https://code.example/acme/web".into(), &"jo".into()), "{helpers}");
    let grants = jo.home.json("grant list");
    assert_eq!(grants["items"][0]["resources"], serde_json::json!(["acme/web"]), "{grants}");
    let checked = jo.run("adopt --check").ok();
    assert_eq!(checked.matches(" asks for ").count(), 1, "{checked}");
    jo.home.does(&format!("grant remove {}", grants["items"][0]["id"].as_str().unwrap()));
    let refused = jo.run("adopt --check");
    assert!(refused.code() == 1 && refused.out().contains("hallpass grant add human"), "{}", refused.out());
    jo.run("adopt --undo git --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(!config.exists());
    // What it may have and where stays, so that the same again adds nothing.
    jo.run("adopt git --yes").ok();
    assert_eq!(jo.home.json("helper list")["items"].as_array().unwrap().len(), 1);
    // A file that somebody wrote since is no longer ours to take away.
    fs::write(&config, format!("{}[user]\n\tname = Jo\n", fs::read_to_string(&config).unwrap())).unwrap();
    jo.run("adopt --undo git --yes");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(fs::read_to_string(&config).unwrap().contains("name = Jo"));
}

#[test]
fn what_a_tool_asks_already_is_not_overwritten() {
    let key = key();
    let (id, aws) = (access_key(), secret());
    let auth = STANDARD.encode(format!("jo:{}", secret()));
    canary::watch(&auth);
    let url = format!("https://jo:{key}@code.example\n");
    let profile = format!("[work]\naws_access_key_id = {id}\naws_secret_access_key = {aws}\n");
    let docker = |more: &str| format!("{{\"auths\": {{\"r.example\": {{\"auth\": \"{auth}\"}}}}{more}}}");
    for (tool, files, why) in [
        (
            "git",
            [
                (".git-credentials", url.as_str()),
                (".gitconfig", "[credential \"https://code.example\"]\n\thelper = mine\n"),
            ],
            "stays",
        ),
        ("git", [(".git-credentials", url.as_str()), (".gitconfig", "[alias]\n\tx = a \\\n b\n")], "cannot be read"),
        (
            "git",
            [(".git-credentials", format!("https://code.example/?token={key}\n").as_str()), (".gitconfig", "[a]\n")],
            "only a part",
        ),
        (
            "docker",
            [(".docker/config.json", docker(",\"credHelpers\": {\"r.example\": \"mine\"}").as_str()), ("x", "")],
            "stays",
        ),
        ("docker", [(".docker/config.json", docker(",").as_str()), ("x", "")], "parse"),
        (
            "aws",
            [(".aws/credentials", profile.as_str()), (".aws/config", "[profile work]\ncredential_process = mine\n")],
            "stays",
        ),
        (
            "aws",
            [(".aws/credentials", profile.as_str()), (".aws/config", "[profile work]\nsso_session = mine\n")],
            "stays",
        ),
        (
            "aws",
            [(".aws/credentials", format!("{profile}aws_session_token = x\n").as_str()), (".aws/config", "[a]\n")],
            "stays",
        ),
        (
            "aws",
            [(".aws/credentials", profile.replace("aws_access_key_id", "other").as_str()), (".aws/config", "[a]\n")],
            "says nothing",
        ),
    ] {
        let jo = Jo::new();
        let paths = files.map(|(path, text)| jo.file(path, text));
        let said = jo.run(&format!("adopt {tool} --yes"));
        let said = format!("{}{}", said.out(), said.err());
        assert!(said.contains(why), "{tool} {why}: {said}");
        for (path, (_, text)) in paths.iter().zip(files) {
            assert_eq!(fs::read_to_string(path).unwrap(), text, "{tool} {why}: {said}");
        }
        assert!(jo.home.json("credential list")["items"].as_array().unwrap().is_empty(), "{tool} {why}");
        assert!(jo.home.json("helper list")["items"].as_array().unwrap().is_empty(), "{tool} {why}");
    }
}

#[test]
fn what_hallpass_gives_there_already_is_not_overwritten() {
    let jo = Jo::new();
    jo.home.run(["credential", "add", "vault"], "value").ok();
    jo.home.does("helper add git https://code.example vault:release");
    let text = format!("https://jo:{}@code.example\n", key());
    let file = jo.file(".git-credentials", &text);
    let said = jo.run("adopt git --yes").ok();
    assert!(said.contains("which gives vault:release"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn docker_s_helper_is_a_link_on_its_path_or_the_key_stays() {
    // It is shown below, which no watched secret may be.
    let (jo, password) = (Jo::new(), STANDARD.encode(random())[..36].to_owned());
    let auth = STANDARD.encode(format!("jo:{password}"));
    let text = format!("{{\n\t\"auths\": {{\n\t\t\"r.example\": {{\n\t\t\t\"auth\": \"{auth}\"\n\t\t}}\n\t}}\n}}\n");
    let file = jo.file(".docker/config.json", &text);
    let ran = |path: &str, words: &[&str]| {
        let mut command = jo.home.command(words);
        command.env("HOME", &jo.folder).env("PATH", path).current_dir(&jo.folder);
        run(command, b"")
    };
    let said = ran("/usr/bin:/bin", &["adopt", "docker", "--yes"]).ok();
    assert!(said.contains("not on PATH") && fs::read_to_string(&file).unwrap() == text, "{said}");
    let bin = jo.folder.join(".local/bin");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    // Somebody else's program of this name stays.
    let theirs = jo.file(".local/bin/docker-credential-hallpass", "mine");
    let said = ran(&path, &["adopt", "docker", "--yes"]);
    assert!(said.code() != 0 && fs::read_to_string(&file).unwrap() == text, "{}", said.err());
    fs::remove_file(theirs).unwrap();
    ran(&path, &["adopt", "docker", "--yes"]).ok();
    let new: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(new, serde_json::json!({"auths": {"r.example": {}}, "credHelpers": {"r.example": "hallpass"}}));
    ran(&path, &["adopt", "--check"]).ok();
    assert_eq!(jo.home.ok(["credential", "reveal", "docker-registry", "--yes"]).trim(), password);
    ran(&path, &["adopt", "--undo", "--yes"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_profile_of_the_config_file_and_one_of_the_credentials_file() {
    let jo = Jo::new();
    let keys = [(access_key(), secret()), (access_key(), secret())];
    let pair =
        |(id, secret): &(String, String)| format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    let config = format!("[profile a]\nregion = x\n{}", pair(&keys[0]));
    let credentials = format!("[b]\n{}", pair(&keys[1]));
    let files = [jo.file(".aws/config", &config), jo.file(".aws/credentials", &credentials)];
    jo.run("adopt aws --yes").ok();
    let texts = files.clone().map(|file| fs::read_to_string(file).unwrap());
    for profile in ["a", "b"] {
        assert!(texts[0].contains(&format!("helper aws --profile {profile}\n")), "{texts:?}");
    }
    assert_eq!(texts[1], "[b]\n");
    jo.run("adopt --check").ok();
    jo.run("adopt --undo --yes").ok();
    assert_eq!(files.map(|file| fs::read_to_string(file).unwrap()), [config, credentials]);
}
