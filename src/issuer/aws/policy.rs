//! The session policy of a token, and the names that AWS's records show.
//!
//! Owns what each is made of. A session policy allows what the role's own allows too, and nothing else.

use serde_json::json;

use crate::{
    issuer::{Failure, Who},
    scope::{Wanted, any_resource},
};

/// The longest inline session policy, in characters (STS, `AssumeRole`).
const LONGEST: usize = 2048;

/// The policy for what is wanted.
pub(super) fn of(what: &Wanted) -> Result<String, Failure> {
    let mut actions = Vec::new();
    for scope in what.scopes.iter() {
        let text = scope.to_string();
        let fits = text.split_once(':').is_some_and(|(service, action)| {
            let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            plain(service) && (action == "*" || plain(action))
        });
        if !fits {
            return Err(Failure::Narrow(format!("{text} is no action of AWS; write it like s3:GetObject or s3:*")));
        }
        actions.push(text);
    }
    let mut resources = Vec::new();
    if what.resources != any_resource() {
        for resource in what.resources.iter() {
            let text = resource.to_string();
            // Five colons come before the part that names the resource.
            if !text.starts_with("arn:") || text.splitn(6, ':').count() < 6 {
                return Err(Failure::Narrow(format!("{text} is no ARN; write it like arn:aws:s3:::bucket/*")));
            }
            // What AWS would fill in itself is no name of a thing.
            if text.contains('$') {
                return Err(Failure::Narrow(format!("{text} has a variable in it")));
            }
            resources.push(text);
        }
    } else {
        resources.push("*".to_owned());
    }
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
    let text = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    if text.len() > LONGEST {
        return Err(Failure::Narrow(format!(
            "a session policy has at most {LONGEST} characters; ask for less at once"
        )));
    }
    Ok(text)
}

/// A name as AWS takes it: 2 to 64 of letters, digits and `+=,.@-_`.
pub(super) fn name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+=,.@-_".contains(c);
    let name: String = text.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    if name.len() < 2 { format!("{name:_<2}") } else { name }
}

/// Principal and task; of a long principal the beginning.
pub(super) fn session_name(who: &Who) -> String {
    match &who.task {
        Some(task) => {
            let left = 63_usize.saturating_sub(task.len());
            name(&format!("{}-{task}", who.principal.chars().take(left).collect::<String>()))
        }
        None => name(&who.principal),
    }
}

/// The session's tags: letters, digits and a few signs each, at most 256 of them.
pub(super) fn tags(who: &Who) -> Vec<(&'static str, String)> {
    let text = |text: &str| name(text);
    let task = who.task.as_deref().map(|task| ("hallpass:task", text(task)));
    [("hallpass:owner", text(&who.owner)), ("hallpass:principal", text(&who.principal))]
        .into_iter()
        .chain(task)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<serde_json::Value, Failure> {
        of(&text.parse().unwrap()).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn it_says_exactly_what_is_wanted() {
        let made = policy("aws:s3:GetObject,s3:ListBucket@arn:aws:s3:::b,arn:aws:s3:::b/*").unwrap();
        let wanted = json!({ "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"] });
        assert_eq!(made["Statement"], json!([wanted]));
        assert_eq!(policy("aws:sts:*").unwrap()["Statement"][0]["Resource"], json!(["*"]));
        let many: String = (0..60).map(|n| format!(",s3:Action{n:030}")).collect();
        for odd in [
            "aws:*",
            "aws:read",
            "aws:s3:a:b",
            "aws:s3:GetObject@bucket",
            "aws:s3:GetObject@arn:aws:s3",
            "aws:s3:GetObject@arn:aws:s3:::$x",
            &format!("aws:s3:GetObject{many}"),
        ] {
            assert!(matches!(policy(odd), Err(Failure::Narrow(_))), "{odd}");
        }
    }

    #[test]
    fn names_fit_into_aws_s_records() {
        let who = Who { owner: "a".into(), principal: "p".repeat(80), task: Some("task_1".into()) };
        assert_eq!(session_name(&who).len(), 64);
        assert!(session_name(&who).ends_with("-task_1"));
        assert_eq!(name(&who.owner), "a_");
        assert_eq!(name("ada/b c@d"), "ada_b_c@d");
        assert_eq!(tags(&who).len(), 3);
    }
}
