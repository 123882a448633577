//! JSON, TOML and YAML.

use super::super::{Quote, parse};
use super::{check, meanings};
use crate::detect::kind::FileKind::{Json, Toml, Yaml};

#[test]
fn json() {
    let document = check(
        Json,
        "{\n  // \"a\": note\n  \"b\": \"«1»\", /* c */ 'd': '«2»', e: «3», \"f\": { \"g h\": \"«x\\ny\\u00e9»\", },\n  \"i\": [\"«4»\", [\"«5»\"], {\"j\": \"«6»\"}],\n\
         \"k\": true, \"l\": null, \"m\": \"\", \"n\": -«»1.5\n}"
            .replace("-«»1.5", "«-1.5»")
            .as_str(),
        &["b", "d", "e", "f.g h", "i", "i", "i.j", "n"],
    );
    assert_eq!(document.scalars[3].decoded.as_deref(), Some("x\nyé".as_bytes()));
    assert_eq!((document.scalars[0].quote, document.scalars[1].quote), (Quote::Double, Quote::Single));
}

#[test]
fn json_argument_lists() {
    check(
        Json,
        r#"{"mcpServers": {"x": {"command": "«npx»", "args": ["«pkg»", "--api-key", "«v1»", "--token=«v2»",
            "-H", "Authorization: «Bearer v3»", "--header=X-Api-Key: «v4»", "--header", "X-B:«v5»", "«--»", "-y", "«p»"],
            "env": {"KEY": "«v6»"}}}, "environment": ["KEY=«v7»", "Q=\"«v8»\"", "B64==", "«https://h/?a=b»"]}"#
            .replace("\\\"", "'")
            .replace("Q=\"«v8»\"", "Q='«v8»'")
            .replace("\"B64==\"", "\"«B64==»\"")
            .as_str(),
        &[
            "mcpServers.x.command",
            "mcpServers.x.args",
            "mcpServers.x.args.api-key",
            "mcpServers.x.args.token",
            "mcpServers.x.args.Authorization",
            "mcpServers.x.args.X-Api-Key",
            "mcpServers.x.args.X-B",
            "mcpServers.x.args",
            "mcpServers.x.args.y",
            "mcpServers.x.env.KEY",
            "environment.KEY",
            "environment.Q",
            "environment",
            "environment",
        ],
    );
    let document = check(Json, r#"["KEY=«a\nb»"]"#, &["KEY"]);
    assert_eq!(document.scalars[0].decoded.as_deref(), Some(&b"a\nb"[..]));
}

#[test]
fn json_name_and_value() {
    check(Json, r#"{"env": [{"name": "«A»", "value": "«v»"}, {"value": "«w»"}]}"#, &["env.name", "env.A", "env.value"]);
}

#[test]
fn json_lines_and_nonsense() {
    check(Json, "{\"a\": \"«1»\"}\n{\"a\": \"«2»\"}", &["a", "a"]);
    check(
        Json,
        "{\"a\": «{{ b }}»,\n<<<<<<< HEAD\n\"c\": \"«1»\",\n=======\n\"c\": \"«2»\",\n>>>>>>> x\n}",
        &["a", "c", "c"],
    );
    for text in ["{", "}", "[}", "{\"a\" \"b\"", "{\"a\": }}", "{\"a\": \"b}", "[1, }", "hello"] {
        assert_eq!(parse(Json, text.as_bytes()), None, "{text}");
    }
}

#[test]
fn toml() {
    let document = check(
        Toml,
        "# note\na = \"«1»\" # why\nb.c = '«2»'\n[d.\"e f\"]\ng = { h = \"«3\\n»\", i = [\"«4»\", \"K=«5»\"] }\n# j = \"«6»\"\n\
         [[k]]\nl = «42»\nm = true\nn = \"\"\"\n«one\ntwo»\"\"\"\no = '''«x»'''\n[env]\nargs = [\"--key\", \"«7»\"]",
        &["a", "b.c", "d.e f.g.h", "d.e f.g.i", "d.e f.g.i.K", "j", "k.l", "k.n", "k.o", "env.args.key"],
    );
    assert_eq!(document.scalars[2].decoded.as_deref(), Some(&b"3\n"[..]));
    assert_eq!(document.scalars[7].quote, Quote::Block);
    for text in ["[a", "a = \"b", "a = {", "hello world"] {
        assert_eq!(parse(Toml, text.as_bytes()), None, "{text}");
    }
}

#[test]
fn yaml() {
    let document = check(
        Yaml,
        "# note\na: «1» # why\nb: '«t''wo»'\nc: \"«x\\ny»\"\nö: «ü» # ä\nd:\n  e: !tag «f»\n  g: &x \"«h»\"\n  i: *x\n  # j=«k»\n\
         services:\n  web:\n    environment:\n      - KEY=«v1»\n      - \"QUOTED=«v2»\"\n    env: {A: «v3», B: [«v4», \"«v5»\"]}\n\
         n: ~\no: true\np: |\n  «line one\n  line two»\nq: >-\n  «folded\n\n  more»\nr:\n- name: «NAME»\n  value: «v6»\n? [«s», «t»]\n: «v7»\nu: «multi\n  line»\n---\nv: «w»",
        &[
            "a",
            "b",
            "c",
            "ö",
            "d.e",
            "d.g",
            "j",
            "services.web.environment.KEY",
            "services.web.environment.QUOTED",
            "services.web.env.A",
            "services.web.env.B",
            "services.web.env.B",
            "p",
            "q",
            "r.name",
            "r.NAME",
            "",
            "",
            "",
            "u",
            "v",
        ],
    );
    assert_eq!(document.scalars[1].decoded.as_deref(), Some(&b"t'wo"[..]));
    assert_eq!(document.scalars[12].decoded.as_deref(), Some(&b"line one\nline two\n"[..]));
    assert_eq!(document.scalars[12].quote, Quote::Block);
    for text in ["a: b: c", "a: [", "{{ x }}: {{ y }}\n{%", "\"a"] {
        assert_eq!(parse(Yaml, text.as_bytes()), None, "{text}");
    }
}

#[test]
fn values_mean_what_other_readers_say() {
    let json = r#"{"a": "x\ty", "b": ["é\u00e9", "\ud83d\ude00"], "c": {"d": "\\\"q/\/"}}"#;
    let document = parse(Json, json.as_bytes()).unwrap();
    assert_eq!(meanings(&document, json.as_bytes()), ["x\ty", "éé", "😀", "\\\"q//"]);
}
