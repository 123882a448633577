//! Pairs on lines of text.

use super::check_line;

#[test]
fn pairs() {
    let table: &[(&str, &[&str])] = &[
        ("api_key = \"«v»\"", &["api_key"]),
        ("  const apiKey: string = '«v»';", &["apiKey"]),
        ("let key = «v»;", &["key"]),
        ("key := `«v»`", &["key"]),
        ("'key' => '«v»',", &["key"]),
        ("\"key\": \"«v»\", \"other\":\"«w»\"", &["key", "other"]),
        ("{\"key\":«1», b: «2»}", &["key", "b"]),
        ("os.environ[\"KEY\"] = \"«v»\"", &["KEY"]),
        ("setenv(\"KEY\", \"«v»\")", &["KEY"]),
        ("run tool --api-key «v» --x=«w» -p «q»", &["api-key", "x", "p"]),
        ("curl -H \"Authorization: «Bearer v»\" -H 'X-Api-Key: «w»' url", &["Authorization", "X-Api-Key"]),
        ("Authorization: «Bearer v»", &["Authorization"]),
        ("\"run\": \"curl -H 'A-B: «v»' x\"", &["A-B"]),
        ("\"cmd\": \"curl -H \\\"A-B: «Bearer v» w\\\"\"", &["A-B"]),
        ("\"body\": \"{\\\"key\\\": \\\"«v»\\\"}\"", &["key"]),
        ("docker run -e KEY=«v» img", &["KEY"]),
        ("<password>«v»</password>", &["password"]),
        ("<add key=\"«ApiKey»\" value=\"«v»\" />", &["key", "ApiKey"]),
        ("see https://example.org/a:b and a::b, c == d", &[]),
        ("password=\"«a b»\"", &["password"]),
        ("x = \"", &[]),
        ("- **Key**: no", &[]),
        ("a - b -- c", &[]),
        ("DATABASE_URL=«postgres://u:p@h:5432/db?x=y»", &["DATABASE_URL"]),
    ];
    for (line, names) in table {
        check_line(line, names);
    }
}
