//! `hallpass issuer add` for those that this device's identity proves, and for AWS.

use clap::Args;

use super::wizard::need;
use crate::{
    api::{issuer::AddIssuer, problem::Code},
    cli::context::Context,
    error::{Error, Result},
    issuer::{Native, anthropic, assertion, aws, entra, gcp, jws::Algorithm, openai, openrouter, vault},
};

/// What all of them have.
#[derive(Debug, Args)]
pub struct Common {
    /// A new name
    name: String,
    /// Print what the other side has to know, ask for what is missing, and try it
    #[arg(long)]
    pub wizard: bool,
    /// How this device signs
    #[arg(long, value_enum)]
    alg: Option<Alg>,
    /// A variable that tools read the token from, or NAME=PART for a part of it; may be given again
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Allow a server on this machine or in a private network, and plain http to it
    #[arg(long)]
    allow_private: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Alg {
    Es256,
    Rs256,
}

impl Common {
    fn alg(&self, usual: Algorithm) -> Algorithm {
        match self.alg {
            None => usual,
            Some(Alg::Es256) => Algorithm::ES256,
            Some(Alg::Rs256) => Algorithm::RS256,
        }
    }

    fn env(&self, usual: Vec<String>) -> Vec<String> {
        if self.env.is_empty() { usual } else { self.env.clone() }
    }

    fn explain(&self, cx: &Context, text: &str, audience: &str) -> Result<()> {
        if self.wizard { super::wizard::explain(&mut cx.client()?, text, audience) } else { Ok(()) }
    }

    fn body(&self, credential: Option<String>, settings: Native) -> AddIssuer {
        AddIssuer { name: self.name.clone(), credential, settings }
    }
}

#[derive(Debug, Args)]
pub struct Assertion {
    #[command(flatten)]
    pub common: Common,
    /// Who is to believe them
    #[arg(long, value_name = "AUDIENCE")]
    audience: String,
}

impl Assertion {
    pub fn body(self, _: &Context) -> Result<AddIssuer> {
        let settings = assertion::Settings {
            audience: self.audience,
            alg: self.common.alg(Algorithm::ES256),
            env: self.common.env.clone(),
        };
        Ok(self.common.body(None, Native::Assertion(settings)))
    }
}

#[derive(Debug, Args)]
pub struct Anthropic {
    #[command(flatten)]
    pub common: Common,
    /// The federation rule (fdrl_...)
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// The organization's UUID
    #[arg(long, value_name = "UUID")]
    organization: Option<String>,
    /// The service account (svac_...)
    #[arg(long, value_name = "ID")]
    service_account: Option<String>,
    /// The workspace, where the rule has several
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
    /// The rule's scope
    #[arg(long, default_value = "workspace:inference")]
    pub scope: String,
    /// The rule's audience
    #[arg(long, default_value = "https://api.anthropic.com")]
    audience: String,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.anthropic.com")]
    base_url: String,
}

impl Anthropic {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        let wizard = self.common.wizard;
        self.common.explain(cx, include_str!("../../../data/wizards/anthropic.txt"), &self.audience)?;
        let settings = anthropic::Settings {
            federation_rule_id: need(self.rule, "rule", "the rule's id (fdrl_...)", wizard)?,
            organization_id: need(self.organization, "organization", "the organization's UUID", wizard)?,
            service_account_id: self.service_account,
            workspace_id: self.workspace,
            scope: self.scope,
            audience: self.audience,
            base_url: self.base_url.trim_end_matches('/').to_owned(),
            alg: self.common.alg(Algorithm::ES256),
            env: self.common.env(anthropic::variables()),
            allow_private: self.common.allow_private,
        };
        Ok(self.common.body(None, Native::Anthropic(settings)))
    }
}

#[derive(Debug, Args)]
pub struct OpenAi {
    #[command(flatten)]
    pub common: Common,
    /// The workload identity provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// The service account
    #[arg(long, value_name = "ID")]
    service_account: Option<String>,
    /// A name for what the mapping gives
    #[arg(long, default_value = "api")]
    pub scope: String,
    /// The provider's audience
    #[arg(long, default_value = "https://api.openai.com/v1")]
    audience: String,
    /// The exchange
    #[arg(long, value_name = "URL", default_value = "https://auth.openai.com/oauth/token")]
    token_url: String,
}

impl OpenAi {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        let wizard = self.common.wizard;
        self.common.explain(cx, include_str!("../../../data/wizards/openai.txt"), &self.audience)?;
        let settings = openai::Settings {
            identity_provider_id: need(self.provider, "provider", "the provider's id", wizard)?,
            service_account_id: need(self.service_account, "service-account", "the service account's id", wizard)?,
            scope: self.scope,
            audience: self.audience,
            token_url: self.token_url,
            alg: self.common.alg(Algorithm::ES256),
            env: self.common.env(openai::variables()),
            allow_private: self.common.allow_private,
        };
        Ok(self.common.body(None, Native::OpenAi(settings)))
    }
}

#[derive(Debug, Args)]
pub struct OpenRouter {
    #[command(flatten)]
    pub common: Common,
    /// A name for what the policy gives
    #[arg(long, default_value = "api")]
    pub scope: String,
    /// The policy's audience
    #[arg(long, default_value = "https://openrouter.ai/api/v1")]
    audience: String,
    /// The exchange
    #[arg(long, value_name = "URL", default_value = "https://openrouter.ai/api/v1/oauth/token")]
    token_url: String,
}

impl OpenRouter {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        self.common.explain(cx, include_str!("../../../data/wizards/openrouter.txt"), &self.audience)?;
        let settings = openrouter::Settings {
            scope: self.scope,
            audience: self.audience,
            token_url: self.token_url,
            alg: self.common.alg(Algorithm::ES256),
            env: self.common.env(openrouter::variables()),
            allow_private: self.common.allow_private,
        };
        Ok(self.common.body(None, Native::OpenRouter(settings)))
    }
}

#[derive(Debug, Args)]
pub struct Gcp {
    #[command(flatten)]
    pub common: Common,
    /// The provider: //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The service account that is impersonated
    #[arg(long, value_name = "ADDRESS")]
    service_account: Option<String>,
    /// The project that is billed
    #[arg(long, value_name = "ID")]
    user_project: Option<String>,
    /// The Security Token Service
    #[arg(long, value_name = "URL", default_value = "https://sts.googleapis.com/v1/token")]
    sts_url: String,
    /// The service that impersonates
    #[arg(long, value_name = "URL", default_value = "https://iamcredentials.googleapis.com")]
    iam_url: String,
}

impl Gcp {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        let wizard = self.common.wizard;
        self.common.explain(cx, include_str!("../../../data/wizards/gcp.txt"), "")?;
        let settings = gcp::Settings {
            audience: need(self.provider, "provider", "the provider's resource name", wizard)?,
            service_account: self.service_account,
            user_project: self.user_project,
            sts_url: self.sts_url,
            iam_url: self.iam_url,
            alg: self.common.alg(Algorithm::ES256),
            env: self.common.env(gcp::variables()),
            allow_private: self.common.allow_private,
        };
        Ok(self.common.body(None, Native::Gcp(settings)))
    }
}

#[derive(Debug, Args)]
pub struct Aws {
    #[command(flatten)]
    pub common: Common,
    /// How credentials are come by
    #[arg(long, value_enum, default_value_t = aws::Via::AssumeRole)]
    via: aws::Via,
    /// The region
    #[arg(long)]
    region: String,
    /// The role
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// The access key, kept as KEY_ID:SECRET; the credential with the issuer's name where nothing is said
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// What the role's trust policy asks of a third party
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Leave out owner, principal and task, which the role's trust policy has to allow
    #[arg(long)]
    untagged: bool,
    /// The OIDC provider's audience, for web-identity
    #[arg(long, default_value = "sts.amazonaws.com")]
    audience: String,
    /// The trust anchor, for roles-anywhere
    #[arg(long, value_name = "ARN")]
    trust_anchor: Option<String>,
    /// The profile, for roles-anywhere
    #[arg(long, value_name = "ARN")]
    profile: Option<String>,
    /// The server, where it is not AWS's own
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

impl Aws {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        self.common.explain(cx, include_str!("../../../data/wizards/aws.txt"), &self.audience)?;
        let settings = aws::Settings {
            via: self.via,
            region: self.region,
            role_arn: self.role,
            external_id: self.external_id,
            untagged: self.untagged,
            audience: (self.via == aws::Via::WebIdentity).then_some(self.audience),
            trust_anchor_arn: self.trust_anchor,
            profile_arn: self.profile,
            alg: self.common.alg(Algorithm::RS256),
            base_url: self.base_url.map(|url| url.trim_end_matches('/').to_owned()),
            env: self.common.env(aws::variables()),
            allow_private: self.common.allow_private,
        };
        Ok(self.common.body(self.credential, Native::Aws(settings)))
    }
}

#[derive(Debug, Args)]
pub struct Vault {
    #[command(flatten)]
    pub common: Common,
    /// The server
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// The role that this device logs in to; without one the credential is a token of the server's
    #[arg(long, value_name = "ROLE")]
    login_role: Option<String>,
    /// Where the login method is mounted
    #[arg(long, value_name = "PATH", default_value = "jwt")]
    login_mount: String,
    /// The audience that the login role asks for
    #[arg(long, default_value = "vault")]
    audience: String,
    /// The credential, without a login role; the one with the issuer's name where nothing is said
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// The token role that tokens are made with
    #[arg(long, value_name = "ROLE")]
    token_role: Option<String>,
    /// The path of a dynamic secret, such as database/creds/readonly
    #[arg(long, value_name = "PATH")]
    secret: Option<String>,
    /// Which member of it is the token; the others are its parts
    #[arg(long, value_name = "NAME", default_value = "password")]
    field: String,
    /// The namespace
    #[arg(long)]
    namespace: Option<String>,
}

impl Vault {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        self.common.explain(cx, include_str!("../../../data/wizards/vault.txt"), &self.audience)?;
        let settings = vault::Settings {
            base_url: self.base_url.trim_end_matches('/').to_owned(),
            namespace: self.namespace,
            login_role: self.login_role,
            login_mount: self.login_mount,
            audience: self.audience,
            token_role: self.token_role,
            secret: self.secret,
            field: self.field,
            alg: self.common.alg(Algorithm::ES256),
            env: self.common.env(vault::variables()),
            allow_private: self.common.allow_private,
        };
        Ok(self.common.body(self.credential, Native::Vault(settings)))
    }
}

#[derive(Debug, Args)]
pub struct Entra {
    #[command(flatten)]
    pub common: Common,
    /// The directory (tenant) id
    #[arg(long, value_name = "ID")]
    tenant: String,
    /// The application (client) id
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// A resource by a name of your own, such as graph=https://graph.microsoft.com; may be given again
    #[arg(long = "scope", value_name = "NAME=RESOURCE", required = true)]
    scopes: Vec<String>,
    /// Where tokens come from
    #[arg(long, value_name = "URL", default_value = "https://login.microsoftonline.com")]
    base_url: String,
}

impl Entra {
    pub fn body(self, cx: &Context) -> Result<AddIssuer> {
        self.common.explain(cx, include_str!("../../../data/wizards/entra.txt"), &self.client_id)?;
        let pair = |text: &String| text.split_once('=').map(|(name, of)| (name.to_owned(), of.to_owned()));
        let scopes: Option<_> = self.scopes.iter().map(pair).collect();
        let scopes = scopes.ok_or_else(|| {
            Error::new(Code::Usage, "a --scope names no resource").hint("--scope graph=https://graph.microsoft.com")
        })?;
        let settings = entra::Settings {
            tenant: self.tenant,
            client_id: self.client_id,
            base_url: self.base_url.trim_end_matches('/').to_owned(),
            env: self.common.env.clone(),
            allow_private: self.common.allow_private,
            scopes,
        };
        Ok(self.common.body(None, Native::Entra(settings)))
    }
}
