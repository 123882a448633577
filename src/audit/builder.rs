//! Filling a [`Record`] in, one member at a time.

use super::{Decision, Record};
use crate::api::problem::Code;

macro_rules! members {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty;)+) => {
        impl<'a> Record<'a> {
            $($(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, value: $type) -> Self {
                self.$name = value;
                self
            })+
        }
    };
}

members! {
    /// What the daemon saw of the caller.
    evidence: Option<&'a str>;
    /// In which task.
    task: Option<&'a str>;
    /// What was to be done.
    scopes: Option<String>;
    /// To what.
    resources: Option<String>;
    /// How it ended.
    decision: Decision;
    /// The gateway's route.
    route: Option<&'a str>;
    /// The request's method.
    method: Option<&'a str>;
    /// The request's path.
    path: Option<&'a str>;
    /// The upstream's status.
    status: Option<u16>;
}

impl<'a> Record<'a> {
    /// With which lease.
    #[must_use]
    pub fn lease(mut self, id: &'a str) -> Self {
        self.lease = Some(id);
        self
    }

    /// From which issuer.
    #[must_use]
    pub fn issuer(mut self, name: &'a str) -> Self {
        self.issuer = Some(name);
        self
    }

    /// Why it did not work.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// A sentence more; never text that may hold a value.
    #[must_use]
    pub fn detail(mut self, text: &'a str) -> Self {
        self.detail = Some(text);
        self
    }
}
