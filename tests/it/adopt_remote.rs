//! Adopt where hallpass's own config takes part: remote MCP servers behind the bridge, rendered files; and the way back in
//! a file that its tool wrote anew.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    adopt::Jo,
    canary,
    mcp::Peer,
    mcp_remote::Remote,
    quarantine::anthropic,
    support::{random, wait_until},
};

fn slack() -> String {
    let key = ["xoxb", "-739201846512-4820917365824-", &random()[..12], "Zq9K", &random()[..8]].concat();
    canary::watch(&key);
    key
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a server's file says to start, started as the client does.
fn started(jo: &Jo, server: &Value) -> Peer {
    let words = server["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut command = jo.home.command(words);
    assert!(server["command"].as_str().unwrap().ends_with("/hallpass"), "{server}");
    Peer::of(&mut command, &jo.home)
}

#[test]
fn a_remote_server_is_reached_through_the_bridge_and_comes_back() {
    let (jo, key) = (Jo::new(), slack());
    let remote = Remote::start();
    let text = format!(
        "{{\n  \"mcpServers\": {{\n    \"My Chat\": {{ \"type\": \"http\", \"url\": \"{}\", \"headers\": {{ \"X-Token\": \"v1 {key}\" }}, \"timeout\": 5 }}\n  }}\n}}\n",
        remote.url()
    );
    let file = jo.file(".cursor/mcp.json", &text);
    let shown = jo.run("adopt cursor --dry-run").ok();
    assert!(shown.contains("mcp-bridge") && !shown.contains(&key), "{shown}");
    assert_eq!(jo.home.json("mcp list")["items"], json!([]));
    jo.run("adopt cursor --yes").ok();
    let server = read(&file)["mcpServers"]["My Chat"].clone();
    assert_eq!((&server["args"], &server["timeout"]), (&json!(["mcp", "bridge", "my-chat"]), &json!(5)));
    assert!(["url", "headers", "type"].iter().all(|gone| server.get(gone).is_none()), "{server}");
    let listed = jo.home.json("mcp list")["items"][0].clone();
    assert_eq!((&listed["url"], &listed["header"]), (&json!(remote.url()), &json!("X-Token: v1 {}")));
    let checked = jo.json("adopt --check");
    assert!(checked["items"][0]["error"].is_null(), "{checked}");
    // As the person does, who is not the assistant.
    jo.home.does(&format!("grant add mcp-my-chat {}", checked["items"][0]["want"].as_str().unwrap()));
    let mut peer = started(&jo, &server);
    peer.hello();
    assert_eq!(peer.call(1, "ping", json!({}))["result"]["fromTheFuture"], 1.5);
    assert_eq!(remote.calls("ping")[0].header("x-token"), Some(format!("v1 {key}").as_str()));
    drop(peer);

    // The same server in another client is the same entry, which stays until nobody needs it.
    let other = jo.file(".kiro/settings/mcp.json", &text.replace(", \"timeout\": 5", ""));
    jo.run("adopt kiro --yes").ok();
    assert_eq!(jo.home.json("mcp list")["items"].as_array().unwrap().len(), 1);
    jo.run("adopt --undo cursor --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(jo.home.json("mcp list")["items"].as_array().unwrap().len(), 1);
    jo.run("adopt --check").ok();
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&other).unwrap(), text.replace(", \"timeout\": 5", ""));
    assert_eq!(jo.home.json("mcp list")["items"], json!([]));
}

#[test]
fn a_key_in_the_address_is_filled_in_by_the_bridge_and_a_persons_entry_stays() {
    let (jo, key) = (Jo::new(), slack());
    let remote = Remote::start();
    let text = format!("{{\"servers\": {{\"chat\": {{\"url\": \"{}?slack_bot_token={key}\"}}}}}}", remote.url());
    let file = jo.file(".config/Code/User/mcp.json", &text);
    // Another server has the name.
    jo.home.does("mcp add chat https://other.example.com/mcp");
    jo.run("adopt vscode --yes").ok();
    let server = read(&file)["servers"]["chat"].clone();
    assert_eq!((&server["type"], &server["args"][2]), (&json!("stdio"), &json!("chat-2")));
    let list = jo.home.json("mcp list");
    assert_eq!(list["items"][1]["url"], format!("{}?slack_bot_token={{}}", remote.url()));
    let checked = jo.json("adopt --check");
    assert!(checked["items"][0]["error"].is_null(), "{checked}");
    let mut peer = started(&jo, &server);
    peer.hello();
    peer.call(1, "ping", json!({}));
    assert!(remote.asked(&format!("/mcp?slack_bot_token={key}")), "the key is in the address");
    drop(peer);
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(jo.home.json("mcp list")["items"].as_array().unwrap().len(), 1, "the person's own");
}

#[test]
fn what_the_bridge_cannot_say_stays_and_says_why() {
    let (jo, key) = (Jo::new(), slack());
    for (server, why) in [
        (
            format!("\"url\": \"https://h.example/mcp\", \"headers\": {{\"X-Token\": \"{key}\", \"X-Org\": \"7\"}}"),
            "X-Org",
        ),
        (format!("\"url\": \"https://h.example/sse\", \"headers\": {{\"X-Token\": \"{key}\"}}"), "HTTP+SSE"),
        (
            format!("\"type\": \"sse\", \"url\": \"https://h.example/mcp\", \"headers\": {{\"X-Token\": \"{key}\"}}"),
            "HTTP+SSE",
        ),
        (format!("\"url\": \"http://h.example/mcp\", \"headers\": {{\"X-Token\": \"{key}\"}}"), "https"),
        (format!("\"url\": \"https://${{env:HOST}}/mcp\", \"headers\": {{\"X-Token\": \"{key}\"}}"), "variable"),
        (
            format!("\"url\": \"https://h.example/mcp\", \"command\": \"x\", \"headers\": {{\"X-Token\": \"{key}\"}}"),
            "stays",
        ),
        (format!("\"url\": \"https://h.example/mcp\", \"headers\": {{\"Host\": \"{key}\"}}"), "transport's own"),
    ] {
        let text = format!("{{\"mcpServers\": {{\"s\": {{{server}}}}}}}");
        let file = jo.file(".cursor/mcp.json", &text);
        let done = jo.json("adopt cursor --yes");
        let said = done["items"][0]["places"][0]["why"].as_str().unwrap_or_default();
        assert!(said.contains(why), "{server}: {done}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(jo.home.json("mcp list")["items"], json!([]));
}

#[test]
fn a_rendered_file_stands_where_a_tool_only_reads_files() {
    let (jo, key) = (Jo::new(), anthropic());
    let text = format!(
        "{{\n  // mine\n  \"provider\": {{ \"anthropic\": {{ \"options\": {{ \"apiKey\": \"{key}\" }} }} }},\n}}\n"
    );
    let file = jo.file(".config/opencode/opencode.jsonc", &text);
    let said = jo.run("adopt opencode --yes").ok();
    assert!(said.contains("rendered-file") && said.contains("service install"), "{said}");
    let new = fs::read_to_string(&file).unwrap();
    let path = new.split("{file:").nth(1).and_then(|rest| rest.split('}').next()).unwrap().to_owned();
    assert!(new.contains("// mine") && new.contains("/anthropic/v1"), "{new}");
    let token = fs::read_to_string(&path).unwrap();
    assert!(token.starts_with("hp_"), "a token and nothing else");
    assert_eq!(jo.home.json("render list")["items"][0]["render"]["as"], "opencode");
    jo.run("adopt --check").ok();
    // Without its grant there is no file, and the check says where to look.
    let grant = jo.home.json("grant list")["items"][0]["id"].as_str().unwrap().to_owned();
    jo.home.does(&format!("grant remove {grant}"));
    wait_until("the file is gone", || !Path::new(&path).exists());
    let refused = jo.run("adopt --check");
    assert!(refused.code() == 1 && refused.out().contains("render show"), "{}", refused.out());
    jo.run("adopt --undo opencode --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(jo.home.json("render list")["items"], json!([]));
}

#[test]
fn a_variable_that_holds_more_than_the_key_is_a_line_of_a_file() {
    let (jo, key) = (Jo::new(), slack());
    let text = format!(
        "{{\"mcpServers\": {{\"s\": {{\"command\": \"sh\", \"env\": {{\"AUTH_HEADER\": \"Bearer {key}\", \"B\": \"1\"}}}}}}}}"
    );
    let file = jo.file(".cursor/mcp.json", &text);
    jo.run("adopt cursor --yes").ok();
    let server = read(&file)["mcpServers"]["s"].clone();
    let held = fs::read_to_string(server["envFile"].as_str().unwrap()).unwrap();
    assert_eq!(held, format!("AUTH_HEADER=Bearer {key}\n"));
    assert_eq!((&server["env"], &server["command"]), (&json!({"B": "1"}), &json!("sh")));
    jo.run("adopt --check").ok();
    jo.run("adopt --undo --yes").ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_file_that_its_tool_wrote_anew_gets_its_key_where_the_replacement_stands() {
    let (jo, key) = (Jo::new(), slack());
    let env = format!("{{ \"SLACK_BOT_TOKEN\": \"{key}\" }}");
    let file = jo.file(
        ".gemini/settings.json",
        &format!(
            "{{\n  \"mcpServers\": {{ \"one\": {{ \"command\": \"x\", \"args\": [\"a\"], \"env\": {env} }} }}\n}}\n"
        ),
    );
    jo.run("adopt gemini-cli --yes").ok();
    let adopted = read(&file);
    // All of it on other lines, with something new.
    let mut written = adopted.clone();
    written["mcpServers"]["two"] = json!({"command": "y"});
    fs::write(&file, serde_json::to_string_pretty(&written).unwrap()).unwrap();
    let said = jo.run("adopt --undo gemini-cli --yes").ok();
    assert!(said.contains("keeps what was changed since"), "{said}");
    let back = json!({"mcpServers": {
        "one": {"command": "x", "args": ["a"], "env": {"SLACK_BOT_TOKEN": key}}, "two": {"command": "y"}
    }});
    assert_eq!(read(&file), back);

    // Where the tool changed the replacement itself, nothing is touched.
    jo.run("adopt gemini-cli --yes").ok();
    let mut other = read(&file);
    other["mcpServers"]["one"]["command"] = json!("mine");
    let text = serde_json::to_string(&other).unwrap();
    fs::write(&file, &text).unwrap();
    let refused = jo.run("adopt --undo gemini-cli --yes");
    assert!(refused.code() == 1 && refused.out().contains("changed since"), "{}", refused.out());
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_check_has_the_time_and_the_environment_of_the_tool() {
    let (jo, key) = (Jo::new(), anthropic());
    jo.file(".claude/settings.json", &format!("{{\"env\": {{\"ANTHROPIC_API_KEY\": \"{key}\"}}}}"));
    jo.file(".config/crush/crush.json", &format!("{{\"providers\": {{\"anthropic\": {{\"api_key\": \"{key}\"}}}}}}"));
    jo.run("adopt --yes").ok();
    let checked = jo.json("adopt --check");
    let of = |tool: &str| checked["items"].as_array().unwrap().iter().find(|one| one["tool"] == tool).unwrap().clone();
    assert!(of("claude-code")["error"].is_null() && of("crush")["error"].is_null(), "{checked}");
    assert_eq!((&of("claude-code")["limit_ms"], &of("crush")["limit_ms"]), (&json!(600_000), &json!(300_000)));
    // Claude Code sees its settings change; Crush has to be started again.
    assert_eq!((&of("claude-code")["restart"], &of("crush")["restart"]), (&json!(false), &json!(true)));
}
