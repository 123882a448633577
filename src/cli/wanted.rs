//! `ISSUER:SCOPE[,SCOPE][@RESOURCE]` on the command line, whole or in pieces.

use crate::{
    api::problem::Code,
    error::{Error, Result},
    scope::{Resource, ResourceSet, Scope, ScopeSet, Wanted, any_resource},
};

/// Puts together `ISSUER[:SCOPES][@RESOURCES]` and what `--scope` and `--resource` add.
///
/// # Errors
/// No scope is named anywhere, or resources are named in both places.
pub fn assemble(text: &str, scopes: &[Scope], resources: &[Resource]) -> Result<Wanted> {
    let invalid = |e: crate::scope::ScopeError| {
        Error::new(Code::InvalidValue, e.to_string())
            .hint("write ISSUER:SCOPE@RESOURCE, like github:issues:read@acme/web")
    };
    let (left, at) = text.split_once('@').map_or((text, None), |(left, right)| (left, Some(right)));
    let issuer = left.split(':').next().unwrap_or_default();
    if !crate::principal::is_name(issuer) {
        return Err(Error::new(Code::InvalidValue, format!("{issuer:?} is no issuer's name"))
            .hint("write ISSUER:SCOPE@RESOURCE, like github:issues:read@acme/web"));
    }
    let mut base = if left.contains(':') {
        text.parse::<Wanted>().map_err(invalid)?
    } else {
        let resources = match at {
            None => any_resource(),
            Some(list) => {
                ResourceSet::new(list.split(',').map(str::parse).collect::<Result<Vec<_>, _>>().map_err(invalid)?)
            }
        };
        Wanted { issuer: issuer.into(), scopes: ScopeSet::default(), resources }
    };
    if !scopes.is_empty() {
        base.scopes = ScopeSet::new(base.scopes.iter().cloned().chain(scopes.iter().cloned()));
    }
    if base.scopes.is_empty() {
        return Err(Error::new(Code::Usage, format!("which scope of {issuer}?"))
            .hint(format!("`hallpass route show {issuer}` lists its scopes; name one with --scope")));
    }
    if !resources.is_empty() {
        if at.is_some() {
            return Err(Error::new(Code::Usage, "resources are named both after @ and with --resource"));
        }
        base.resources = ResourceSet::new(resources.iter().cloned());
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str, scopes: &[&str], resources: &[&str]) -> Result<String> {
        let scopes: Vec<Scope> = scopes.iter().map(|s| s.parse().unwrap()).collect();
        let resources: Vec<Resource> = resources.iter().map(|s| s.parse().unwrap()).collect();
        assemble(text, &scopes, &resources).map(|wanted| wanted.to_string())
    }

    #[test]
    fn whole_or_in_pieces_it_is_the_same() {
        let whole = put("github:issues:read@acme/web", &[], &[]).unwrap();
        assert_eq!(put("github", &["issues:read"], &["acme/web"]).unwrap(), whole);
        assert_eq!(put("github@acme/web", &["issues:read"], &[]).unwrap(), whole);
        assert_eq!(put("github:issues:read", &[], &["acme/web"]).unwrap(), whole);
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        assert_eq!(put("github", &[], &[]).unwrap_err().code, Code::Usage);
        assert_eq!(put("github:chat@a/b", &[], &["c/d"]).unwrap_err().code, Code::Usage);
        assert_eq!(put("Git Hub:chat", &[], &[]).unwrap_err().code, Code::InvalidValue);
        assert_eq!(put("github:@a", &[], &[]).unwrap_err().code, Code::InvalidValue);
    }
}
