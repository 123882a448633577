//! Line-shaped kinds.

use super::super::Quote;
use super::check;
use crate::detect::kind::FileKind::{Dotenv, Hcl, Ini, Netrc, Shell};

#[test]
fn dotenv() {
    let document = check(
        Dotenv,
        "# a note: nothing\nA=«one»\n  B = «two words»  # why\nC=\"«t # hree»\" # why\nexport D='«fo\\ur»'\nE=`«five»`\n\
         F: «six»\nG=\n# H=«seven»\n#export I=\"«eight»\"\nJ= # empty\nK=«a#b»\nL=\"«x»\nnot a line\nM=\"\"\nN.o-p=«9»\n\
         # see https://example.org/?a=b\nÄ=x\nO=«ö»",
        &["A", "B", "C", "D", "E", "F", "H", "I", "K", "L", "N.o-p", "O"],
    );
    let comments: Vec<_> = document.scalars.iter().map(|scalar| scalar.comment).collect();
    assert_eq!(comments.iter().filter(|comment| **comment).count(), 2);
    assert_eq!(document.scalars[2].quote, Quote::Double);
    assert_eq!(document.scalars[3].quote, Quote::Single);
}

#[test]
fn dotenv_over_lines() {
    check(Dotenv, "A=\"«-----BEGIN X-----\nabc\n-----END X-----»\" # end\nB=«2»", &["A", "B"]);
    check(Dotenv, "A='«a\nb»'\nB=«2»", &["A", "B"]);
    // A quote left open takes nothing but its own line.
    check(Dotenv, "A=\"«one»\nB=\"«two»\"\nC='«three»\nD=«4»", &["A", "B", "C", "D"]);
}

#[test]
fn dotenv_escapes() {
    let document = check(Dotenv, r#"A="«a\nb\"c\\d\e»""#, &["A"]);
    assert_eq!(document.scalars[0].decoded.as_deref(), Some(&b"a\nb\"c\\d\\e"[..]));
    assert_eq!(check(Dotenv, "A='«a\\n»'", &["A"]).scalars[0].decoded, None);
}

#[test]
fn ini() {
    check(
        Ini,
        "; note\ntop = «0»\n[default]\naws_access_key_id = «AB»\naws_secret_access_key=«c/d+e=»\n; old = «x»\n[profile two]\n\
         region: «eu» # why\nempty =\nquoted = \"«a ; b»\" ; why\npath = «C:\\dir»",
        &[
            "top",
            "default.aws_access_key_id",
            "default.aws_secret_access_key",
            "old",
            "profile two.region",
            "profile two.quoted",
            "profile two.path",
        ],
    );
}

#[test]
fn ini_kin() {
    check(
        Ini,
        "//registry.npmjs.org/:_authToken=«abc»\n@scope:registry=«https://r.example.org/»\n//r/:_password=\"«x»\"",
        &["//registry.npmjs.org/:_authToken", "@scope:registry", "//r/:_password"],
    );
    check(
        Ini,
        "[global]\nextra-index-url =\n    «https://u:p@one.example/simple?a=b»\n    «https://two.example/simple»\ntimeout = «60»",
        &["global.extra-index-url", "global.extra-index-url", "global.timeout"],
    );
    check(
        Ini,
        "[remote \"origin\"]\n\turl = «https://u:p@example.org/r»\n\tfetch = «+refs/heads/*:refs/r/*»\n[http]\n\textraheader = «Authorization: Basic eA==»",
        &["remote.origin.url", "remote.origin.fetch", "http.extraheader"],
    );
    check(
        Ini,
        "[Service]\nEnvironment=A_KEY=«x»\nEnvironment=\"B=«y z»\"",
        &["Service.Environment.A_KEY", "Service.Environment.B"],
    );
    check(Ini, "! note\na.b=«1»\nc.d: «2»\ne.f:«3»\n#g=«4»", &["a.b", "c.d", "e.f", "g"]);
    let document =
        check(Ini, "# host:port\ndb.example:5432:*:me:«a:b\\:c\\\\d»\n*:*:*:*:«pw»", &["db.example.me", "*.*"]);
    assert_eq!(document.scalars[0].decoded.as_deref(), Some(&b"a:b:c\\d"[..]));
}

#[test]
fn netrc() {
    check(
        Netrc,
        "# note\nmachine a.example login «me» password «p#w»\nmachine b.example\n  login «you»\n  password \"«q r»\"\nmacdef init\n\
         password no\n\ndefault login «anon» password «x»",
        &[
            "machine.a.example.login",
            "machine.a.example.password",
            "machine.b.example.login",
            "machine.b.example.password",
            "default.login",
            "default.password",
        ],
    );
}

#[test]
fn shell() {
    check(
        Shell,
        "#!/bin/sh\nexport A=«b» B=\"«c d»\"\nC='«e»' cmd --flag\n# export D=«f»\nset -gx E «g»\nset -Ux F '«h»'\nsetenv G «i»\n\
         $env:H = \"«j»\"\n$Env:I=\"«k»\"\ncurl -H \"Authorization: «Bearer x»\" --token=«l» https://h/?a=b | jq .\n\
         tool --api-key «m» --verbose; N=«n»&& true\ndocker run -e O=«o» -e \"P=«p»\" img\nif [ \"$Q\" = \"r\" ]; then x; fi\n\
         S=\"«t\nu»\"\n: 1700000000:0;export V=«w»\n- cmd: export X=«y»\ntool --long \\\n  --key \\\n  «z»",
        &[
            "A",
            "B",
            "C",
            "D",
            "E",
            "F",
            "G",
            "H",
            "I",
            "Authorization",
            "token",
            "api-key",
            "N",
            "O",
            "P",
            "S",
            "V",
            "X",
            "key",
        ],
    );
}

#[test]
fn shell_prose_and_docker() {
    check(Shell, "# don't\necho don't do that\nexport A=«1»\necho it's\nB=«2»", &["A", "B"]);
    check(
        Shell,
        "FROM x\nENV A=«1» B=\"«2 3»\"\nENV C «4»\nARG D=«5»\nRUN E=«6» make \\\n  && curl --user «me:pw» u",
        &["A", "B", "C", "D", "E", "user"],
    );
    check(Shell, "export A=«$B»\nexport C=\"«${D}/x»\"\nexport E=«$»(pass f)\nG=«${H:-a b}»", &["A", "C", "E", "G"]);
}

#[test]
fn hcl() {
    let document = check(
        Hcl,
        "# note\na = \"«1»\" // why\nb = «2»\nmap = {\n  c = \"«3»\"\n  \"d\" : \"«4»\", e = \"«5»\"\n}\n/* x = \"no\" */\n\
         list = [\"«6»\", \"«7»\", ]\nresource \"aws_x\" \"y\" {\n  f = var.g\n  h = \"«${f(\"z\")}-x»\"\n  block {\n    j = \"«k\\n»\"\n  }\n}\n\
         # l = \"«8»\"\nm = <<-EOT\n    «one\n    two»\n  EOT\nn = f(\"x\", \"y\")\no = \"«9»\"",
        &[
            "a",
            "b",
            "map.c",
            "map.d",
            "map.e",
            "list",
            "list",
            "resource.aws_x.y.h",
            "resource.aws_x.y.block.j",
            "l",
            "m",
            "o",
        ],
    );
    assert_eq!(document.scalars[8].decoded.as_deref(), Some(&b"k\n"[..]));
}
