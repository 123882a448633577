//! Adopt end to end: keys in tools' files become calls, the calls answer, and the files come back byte for byte.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use hallpass::{
    adopt::Tree,
    surface::{Catalogue, With, replace},
};

use super::{
    canary,
    quarantine::anthropic,
    scan_home::{planted, write},
    support::{Home, Ran, random, run, wait_until},
};

/// Entries for which no file of `tests/data/home` has a key that they fit.
const UNPROVED: &[&str] = &[
    "aws /profile */aws_secret_access_key",
    "claude-code /env/ANTHROPIC_AUTH_TOKEN",
    "claude-code /env/AWS_SECRET_ACCESS_KEY",
    "claude-code /env/OTEL_EXPORTER_OTLP_HEADERS",
    "claude-code /projects/*/mcpServers/*/env/*",
    "claude-code /projects/*/mcpServers/*/headers/*",
    "cline /mcpServers/*/headers/*",
    "droid /mcpServers/*/env/*",
    "gemini-cli /GOOGLE_API_KEY",
    "gcloud /private_key",
    "llm /anthropic",
    "lm-studio /mcpServers/*/env/*",
    "mcp-shared /mcpServers/*/env/*",
    "opencode /provider/*/options/headers/*",
    "kilo /provider/*/options/headers/*",
    "roo-code /mcpServers/*/headers/*",
    "vscode /servers/*/env/*",
    "claude-code /env/HTTPS_PROXY",
];

/// A daemon, and a person's home besides.
pub struct Jo {
    /// hallpass's.
    pub home: Home,
    /// The person's.
    pub folder: PathBuf,
}

impl Jo {
    /// Both, empty.
    pub fn new() -> Self {
        let home = Home::started();
        let folder = home.path().join("jo");
        fs::create_dir(&folder).unwrap();
        Self { home, folder }
    }

    /// Writes a file of the person's.
    pub fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs hallpass as the person does, with `~/.local/bin` on PATH.
    pub fn run(&self, line: &str) -> Ran {
        let mut command = self.home.command(line.split(' '));
        command
            .env("HOME", &self.folder)
            .env("PATH", format!("{}/.local/bin:/usr/bin:/bin", self.folder.display()))
            .current_dir(self.folder.join("src/shop").canonicalize().unwrap_or(self.folder.clone()));
        run(command, b"")
    }

    /// Its answer as JSON.
    pub fn json(&self, line: &str) -> serde_json::Value {
        let ran = self.run(&format!("--json {line}"));
        serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{line}: {}{}", ran.out(), ran.err()))
    }
}

#[test]
fn claude_code_asks_by_its_helper_and_comes_back_byte_for_byte() {
    let (jo, key) = (Jo::new(), anthropic());
    let text = format!(
        "{{\n  \"model\": \"opus\",\n  \"env\": {{\n    \"ANTHROPIC_API_KEY\": \"{key}\",\n    \"A\": \"1\"\n  }},\n  \"permissions\": {{ \"deny\": [\"Read(./.env)\"] }}\n}}\n"
    );
    let file = jo.file(".claude/settings.json", &text);
    let shown = jo.run("adopt claude-code --dry-run").ok();
    assert!(shown.contains("anthropic:messages") && shown.contains("apiKeyHelper") && !shown.contains(&key), "{shown}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(jo.home.json("grant list")["items"].as_array().unwrap().len(), 0);
    // Nobody can be asked without a terminal.
    assert_ne!(jo.run("adopt claude-code").code(), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    jo.run("adopt claude-code --yes").ok();
    let new: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(new["apiKeyHelper"].as_str().unwrap().contains(" mint anthropic:messages"), "{new}");
    assert!(new["env"]["ANTHROPIC_BASE_URL"].as_str().unwrap().ends_with("/anthropic"), "{new}");
    assert!(new["env"]["ANTHROPIC_API_KEY"].is_null() && new["env"]["A"] == "1");
    assert_eq!(new["permissions"]["deny"][0], "Read(./.env)");
    let grants = jo.home.json("grant list");
    assert_eq!(grants["items"][0]["principal"], "claude-code", "{grants}");
    assert_eq!(grants["items"].as_array().unwrap().len(), 1, "{grants}");
    jo.run("adopt --check").ok();
    // There is nothing left to do, and once the grant is gone the check says what helps.
    assert!(jo.run("adopt --dry-run").ok().contains("no key"));
    jo.home.does(&format!("grant remove {}", grants["items"][0]["id"].as_str().unwrap()));
    let refused = jo.run("adopt --check");
    assert!(refused.code() == 1 && refused.out().contains("grant add claude-code"), "{}", refused.out());

    jo.run("adopt --undo claude-code --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(jo.run("adopt --undo --yes").ok().contains("nothing was adopted"));
}

#[test]
fn a_helper_that_is_there_stays_and_so_does_what_does_not_parse() {
    let (jo, key) = (Jo::new(), anthropic());
    for text in [
        format!("{{\"apiKeyHelper\": \"/bin/mine\", \"env\": {{\"ANTHROPIC_API_KEY\": \"{key}\"}}}}"),
        format!("{{\"env\": {{\"ANTHROPIC_BASE_URL\": \"https://llm.example\", \"ANTHROPIC_API_KEY\": \"{key}\"}}}}"),
        format!("{{\"env\": {{\"ANTHROPIC_API_KEY\": \"{key}\",}}}}"),
        format!("// mine\n{{\"env\": {{\"ANTHROPIC_API_KEY\": \"{key}\"}}}}"),
        format!("{{\"env\": {{\"ANTHROPIC_API_KEY\": \"{key}\""),
    ] {
        let file = jo.file(".claude/settings.json", &text);
        let done = jo.json("adopt claude-code --yes");
        let item = &done["items"][0];
        assert!(!item["error"].is_null() || item["places"][0]["why"].is_string(), "{text}: {done}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(jo.home.json("credential list")["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_link_is_followed_and_a_read_only_file_is_left() {
    let (jo, key) = (Jo::new(), anthropic());
    let text = format!("{{\n  \"env\": {{\n    \"ANTHROPIC_API_KEY\": \"{key}\"\n  }}\n}}\n");
    let real = jo.file("dotfiles/settings.json", &text);
    fs::create_dir_all(jo.folder.join(".claude")).unwrap();
    let link = jo.folder.join(".claude/settings.json");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(jo.json("adopt --yes")["items"][0]["error"].is_string());
    assert_eq!(fs::read_to_string(&real).unwrap(), text);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    jo.run("adopt --yes").ok();
    assert!(link.is_symlink() && !fs::read_to_string(&real).unwrap().contains(&key));
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&real).unwrap(), text);
}

#[test]
fn a_wrapped_server_gets_its_key_and_its_input_and_two_keys_are_two_grants() {
    let (jo, key) = (Jo::new(), anthropic());
    let slack = ["xoxb", "-739201846512-4820917365824-", &random()[..12], "Zq9K", &random()[..8]].concat();
    canary::watch(&slack);
    let text = format!(
        "{{\n  \"mcpServers\": {{\n    \"two\": {{\n      \"command\": \"sh\",\n      \"args\": [\"-c\", \"cat; test \\\"$SLACK_BOT_TOKEN\\\" = {slack}\"],\n      \"env\": {{\n        \"SLACK_BOT_TOKEN\": \"{slack}\",\n        \"ANTHROPIC_API_KEY\": \"{key}\"\n      }}\n    }}\n  }}\n}}\n"
    )
    // Only the variable holds it: the program compares with what it is told.
    .replace(&format!("= {slack}"), "= \\\"$EXPECT\\\"");
    let file = jo.file(".cursor/mcp.json", &text);
    jo.run("adopt cursor --yes").ok();
    let new: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let server = &new["mcpServers"]["two"];
    let words: Vec<&str> = server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words.iter().filter(|word| **word == "--grant").count(), 2, "{words:?}");
    assert_eq!(words.iter().filter(|word| **word == "exec").count(), 1, "{words:?}");
    assert!(words.contains(&"mcp:two") && words.contains(&"anthropic:messages"), "{words:?}");
    assert!(!new.to_string().contains(&slack) && !new.to_string().contains(&key));
    jo.run("adopt --check").ok();
    // As the client starts it; the person who does so here needs the grants that the client has.
    let grants = words.windows(2).filter(|pair| pair[0] == "--grant").map(|pair| pair[1]);
    grants.for_each(|grant| drop(jo.home.does(&format!("grant add human {grant}"))));
    let mut command = jo.home.command(words);
    for (name, value) in server["env"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    command.env("EXPECT", &slack);
    let ran = run(command, b"{\"jsonrpc\": \"2.0\"}\n");
    assert_eq!(ran.ok(), "{\"jsonrpc\": \"2.0\"}");
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

/// Every file of `tests/data/home`: what is adopted holds its key no longer and parses, what stays has a reason, and
/// the way back gives the same bytes.
#[test]
fn every_tool_of_a_home_as_people_have_it() {
    let jo = Jo::new();
    let files = planted();
    write(&files, &jo.folder);
    let before: BTreeMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|file| jo.folder.join(&file.path))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    let done = jo.json("adopt --yes");
    let catalogue = Catalogue::built_in().unwrap();
    let mut tools: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places: Vec<(String, Vec<String>)> = Vec::new();
    let mut said: BTreeSet<String> = BTreeSet::new();
    for file in done["items"].as_array().unwrap() {
        assert!(file["error"].is_null(), "{file}");
        let path = Path::new(file["path"].as_str().unwrap());
        let now = fs::read(path).unwrap();
        let tool = file["tool"].as_str().unwrap();
        for place in file["places"].as_array().unwrap() {
            assert!(place["with"].is_string() != place["why"].is_string(), "{place}");
            said.extend(place["why"].as_str().map(|why| format!("{tool} {why}")));
            if place["with"].is_string() {
                *tools.entry(tool).or_default() += 1;
                let surface = catalogue.get(tool).unwrap();
                let format = surface.file_of(path.to_str().unwrap()).unwrap().format;
                let (old, new) = (Tree::read(format, &before[path]).unwrap(), Tree::read(format, &now).unwrap());
                let at = place["at"].as_str().unwrap();
                assert_ne!(old.get(at), new.get(at), "{tool} {at}");
                let parts = at.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
                places.push((tool.to_owned(), parts.collect()));
            }
        }
    }
    println!("adopted: {tools:?}");
    let entries = catalogue.iter().flat_map(|surface| surface.replace.iter().map(move |entry| (surface, entry)));
    let unproved: BTreeSet<String> = entries
        // One mechanism, which `cursor` proves.
        .filter(|(surface, entry)| {
            surface.name == "cursor"
                || !["/args/*", "/command/*", "/url", "Url", "/uri"].iter().any(|end| entry.at.ends_with(end))
        })
        .filter(|(surface, entry)| match (entry.with, &entry.say) {
            (With::Nothing, Some(say)) => !said.contains(&format!("{} {say}", surface.name)),
            _ => !places.iter().any(|(tool, at)| *tool == surface.name && replace::fits(&entry.at, at).is_some()),
        })
        .map(|(surface, entry)| format!("{} {}", surface.name, entry.at))
        .collect();
    assert_eq!(unproved, UNPROVED.iter().map(|text| (*text).to_owned()).collect(), "{said:#?}");
    // Each asks for what it was given, and gets it.
    // Those whose helpers get no variables would not find the daemon of this test.
    let open = tools.keys().filter(|tool| !catalogue.get(tool).unwrap().scrubs.contains(&"*".into()));
    let checked = jo.json(&format!("adopt --check {}", open.copied().collect::<Vec<_>>().join(" ")));
    let failed: Vec<_> = checked["items"].as_array().unwrap().iter().filter(|one| !one["error"].is_null()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    jo.run("adopt --undo --yes").ok();
    for (path, bytes) in &before {
        assert!(fs::read(path).unwrap() == *bytes, "{} is another file", path.display());
    }
}

#[test]
fn yaml_keeps_its_comments_and_says_how_to_start_the_tool() {
    let (jo, key) = (Jo::new(), anthropic());
    let slack = ["xoxb", "-739201846512-4820917365824-", &random()[..12], "Zq9K", &random()[..8]].concat();
    canary::watch(&slack);
    let text = format!(
        "name: Mine # one\nmodels:\n  # the good one\n  - name: Claude\n    provider: anthropic\n    apiKey: {key} # personal\n    roles: [chat]\nmcpServers:\n  - name: Slack\n    command: npx\n    args:\n      - -y # yes\n      - slack-mcp\n    env:\n      SLACK_BOT_TOKEN: \"{slack}\"\n"
    );
    let file = jo.file(".continue/config.yaml", &text);
    let shown = jo.run("adopt continue --yes").ok();
    assert!(shown.contains("hallpass exec --grant anthropic:messages,models:read -- cn"), "{shown}");
    let new = fs::read_to_string(&file).unwrap();
    for kept in
        ["# one\n", "  # the good one\n", " # personal\n", "roles: [chat]\n", "      - -y # yes\n      - slack-mcp\n"]
    {
        assert!(new.contains(kept), "{kept}: {new}");
    }
    for made in [
        "apiKey: \"${{ secrets.ANTHROPIC_API_KEY }}\" #",
        "/anthropic/v1/",
        "mcp:Slack",
        "SLACK_BOT_TOKEN: \"hallpass:",
    ] {
        assert!(new.contains(made), "{made}: {new}");
    }
    assert!(!new.contains(&key) && !new.contains(&slack));
    jo.run("adopt --check").ok();
    // A person's change stays, and the keys come back.
    fs::write(&file, new.replace("# one", "# two")).unwrap();
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text.replace("# one", "# two"));
}

#[test]
fn a_key_in_an_argument_stays_but_where_the_program_fills_it_in() {
    let jo = Jo::new();
    let slack = ["xoxb", "-739201846512-4820917365824-", &random()[..12], "Zq9K", &random()[..8]].concat();
    canary::watch(&slack);
    for (program, done) in [("mcp-remote@0.1", true), ("other-server", false)] {
        let text = format!(
            "{{\n  \"mcpServers\": {{\n    \"s\": {{ \"command\": \"npx\", \"args\": [\"-y\", \"{program}\", \"--header\", \"Authorization: Bearer {slack}\"] }}\n  }}\n}}\n"
        );
        let file = jo.file(".cursor/mcp.json", &text);
        let said = jo.json("adopt cursor --yes");
        let new = fs::read_to_string(&file).unwrap();
        assert_eq!(new.contains(&slack), !done, "{said}");
        assert_eq!(new.contains("Authorization: Bearer ${HALLPASS_KEY_5}"), done, "{new}");
        assert_eq!(new.contains("\"HALLPASS_KEY_5\": \"hallpass:"), done, "{new}");
        jo.run("adopt --check").ok();
        jo.run("adopt --undo --yes").ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn a_key_that_comes_back_is_seen_and_offered_again() {
    let (jo, key) = (Jo::new(), anthropic());
    let text = format!("{{\n  \"env\": {{\n    \"ANTHROPIC_API_KEY\": \"{key}\"\n  }}\n}}\n");
    let file = jo.file(".claude/settings.json", &text);
    jo.home.does(&format!("watch add {} --mode notify", file.display()));
    jo.run("adopt claude-code --yes").ok();
    let adopted = fs::read_to_string(&file).unwrap();
    wait_until("nothing to be found", || jo.home.json("findings")["items"].as_array().unwrap().is_empty());
    // As the tool does that writes what it has in memory.
    let other = file.with_extension("new");
    fs::write(&other, &text).unwrap();
    fs::rename(&other, &file).unwrap();
    wait_until("the offer", || {
        let found = jo.home.json("findings");
        let note = found["items"][0]["note"].as_str().unwrap_or_default().to_owned();
        note.contains("claude-code was adopted here") && note.contains("hallpass adopt '")
    });
    jo.run(&format!("adopt {} --yes", file.display())).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), adopted);
    wait_until("the finding to go", || jo.home.json("findings")["items"].as_array().unwrap().is_empty());
    jo.run("adopt --check").ok();
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
