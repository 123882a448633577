//! Every operation of the API, once: the router, the OpenAPI document and the tests all read this.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Done, List, Pong, adopt, approval, credential, grant, helper, issuer, lease, login, mcp, principal, quarantine, render,
    route, session, status, task, watch,
};

/// One operation.
pub struct Operation {
    /// Its `operationId`.
    pub id: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{part}` for what varies.
    pub path: &'static str,
    /// What it does, one line.
    pub summary: &'static str,
    /// The request body's schema.
    pub request: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The answer's schema.
    pub response: fn(&mut SchemaGenerator) -> Schema,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

macro_rules! operations {
    ($($id:literal $method:literal $path:literal ($($request:ty)?) -> $response:ty: $summary:literal;)+) => {
        /// All operations, grouped by noun.
        pub const ALL: &[Operation] = &[$(Operation {
            id: $id, method: $method, path: $path, summary: $summary,
            request: operations!(@request $($request)?), response: of::<$response>,
        }),+];
    };
    (@request) => { None };
    (@request $request:ty) => { Some(of::<$request>) };
}

operations! {
    "ping" "GET" "/v1/ping" () -> Pong: "Whether the daemon answers.";
    "status" "GET" "/v1/status" () -> status::Status: "How the daemon is, and who the caller is taken for.";
    "openapi" "GET" "/v1/openapi.json" () -> serde_json::Value: "This document.";

    "credential_list" "GET" "/v1/credentials" () -> List<credential::Credential>: "All credentials, without their values.";
    "credential_add" "POST" "/v1/credentials" (credential::AddCredential) -> credential::Credential: "Puts a credential into the store.";
    "credential_show" "GET" "/v1/credentials/{name}" () -> credential::Credential: "What is known of one credential.";
    "credential_remove" "DELETE" "/v1/credentials/{name}" () -> Done: "Removes a credential and ends the leases that need it.";
    "credential_rotate" "POST" "/v1/credentials/{name}/rotate" (credential::RotateCredential) -> credential::Credential: "Replaces a credential's value.";
    "credential_rename" "POST" "/v1/credentials/{name}/rename" (credential::RenameCredential) -> credential::Credential: "Gives a credential another name.";
    "credential_reveal" "POST" "/v1/credentials/{name}/reveal" (credential::RevealCredential) -> credential::Revealed: "Shows a credential's value to a human; audited.";
    "credential_revoke_upstream" "POST" "/v1/credentials/{name}/revoke-upstream" (credential::RevokeUpstream) -> credential::RevokedUpstream: "Revokes a credential's value at its issuer, for good; audited, for humans only.";
    "lock" "POST" "/v1/store/lock" () -> credential::StoreStatus: "Forgets every credential held in memory and locks the store.";
    "unlock" "POST" "/v1/store/unlock" (credential::Unlock) -> credential::StoreStatus: "Unlocks the store.";

    "principal_list" "GET" "/v1/principals" () -> List<principal::Principal>: "All registered principals.";
    "principal_add" "POST" "/v1/principals" (principal::AddPrincipal) -> principal::Principal: "Registers a principal.";
    "principal_show" "GET" "/v1/principals/{name}" () -> principal::Principal: "One principal.";
    "principal_disable" "POST" "/v1/principals/{name}/disable" () -> principal::Principal: "Disables a principal and ends its leases.";
    "principal_enable" "POST" "/v1/principals/{name}/enable" () -> principal::Principal: "Enables a principal again.";
    "principal_remove" "DELETE" "/v1/principals/{name}" () -> Done: "Removes a principal and ends its leases.";

    "grant_list" "GET" "/v1/grants" () -> List<grant::Grant>: "All grants.";
    "grant_add" "POST" "/v1/grants" (grant::AddGrant) -> grant::Grant: "Adds a grant to the config.";
    "grant_remove" "DELETE" "/v1/grants/{id}" () -> Done: "Removes a grant and ends the leases that need it.";
    "grant_explain" "POST" "/v1/grants/explain" (grant::Explain) -> grant::Explanation: "Whether something would be allowed, by which grant, and what the narrowest grant would be.";

    "route_list" "GET" "/v1/routes" () -> List<route::Route>: "All gateway routes.";
    "route_add" "POST" "/v1/routes" (route::AddRoute) -> route::Route: "Adds a route to the config.";
    "route_show" "GET" "/v1/routes/{name}" () -> route::Route: "One gateway route.";
    "route_remove" "DELETE" "/v1/routes/{name}" () -> Done: "Removes a route of one's own.";

    "issuer_list" "GET" "/v1/issuers" () -> List<issuer::Issuer>: "How credentials become tokens.";
    "issuer_add" "POST" "/v1/issuers" (issuer::AddIssuer) -> issuer::Issuer: "Adds an issuer whose own server mints to the config.";
    "issuer_show" "GET" "/v1/issuers/{name}" () -> issuer::Issuer: "One issuer.";
    "issuer_remove" "DELETE" "/v1/issuers/{name}" () -> Done: "Removes an issuer and ends its leases; the credential stays.";
    "issuer_discover" "POST" "/v1/issuers/discover" (login::Discover) -> login::Discovered: "What an authorization server says of itself, as settings of an issuer.";
    "issuer_login" "POST" "/v1/issuers/{name}/login" (login::StartLogin) -> login::LoginStarted: "A person signs in at an issuer's server: where to go.";
    "issuer_login_wait" "POST" "/v1/issuers/{name}/login/{id}" () -> login::LoggedIn: "Waits until the person has signed in.";
    "issuer_logout" "POST" "/v1/issuers/{name}/logout" () -> login::LoggedOut: "Ends a login, at its server where that can be.";

    "helper_list" "GET" "/v1/helpers" () -> List<helper::Helper>: "What each tool gets, in the config's order.";
    "helper_add" "POST" "/v1/helpers" (helper::Helper) -> helper::Helper: "Adds to the config what a tool gets.";
    "helper_remove" "POST" "/v1/helpers/remove" (helper::RemoveHelper) -> Done: "Removes what a tool gets.";
    "helper" "POST" "/v1/helper" (helper::HelperRequest) -> helper::HelperAnswer: "Gives a tool what the config says it gets, where a grant allows it.";

    "render_list" "GET" "/v1/renders" () -> List<render::Rendered>: "Files that are kept filled with a token, in the config's order.";
    "render_add" "POST" "/v1/renders" (render::Render) -> render::Rendered: "Keeps a file filled with a token, and makes it.";
    "render_show" "GET" "/v1/renders/{name}" () -> render::Rendered: "One rendered file.";
    "render_remove" "DELETE" "/v1/renders/{name}" () -> Done: "Removes a rendered file and ends its token.";
    "render_renew" "POST" "/v1/renders/{name}/renew" () -> render::Rendered: "Makes a rendered file anew; its old token ends.";
    "mcp_list" "GET" "/v1/mcp" () -> List<mcp::McpServer>: "Remote MCP servers, by name.";
    "mcp_add" "POST" "/v1/mcp" (mcp::AddMcp) -> mcp::McpServer: "Adds a remote MCP server to the config.";
    "mcp_show" "GET" "/v1/mcp/{name}" () -> mcp::McpServer: "One remote MCP server.";
    "mcp_remove" "DELETE" "/v1/mcp/{name}" () -> Done: "Removes a remote MCP server from the config.";
    "mcp_challenge" "POST" "/v1/mcp/{name}/challenge" (login::Challenged) -> Done: "A bridge says what its server asked for.";
    "mcp_login" "POST" "/v1/mcp/{name}/login" (login::StartMcpLogin) -> login::LoginStarted: "A person signs in for a remote MCP server: where to go.";

    "quarantine_list" "GET" "/v1/quarantine" () -> List<quarantine::Item>: "Files that secrets were taken out of, newest first.";
    "quarantine_take" "POST" "/v1/quarantine" (quarantine::TakeFiles) -> List<quarantine::Taken>: "Takes secrets out of files and leaves references.";
    "quarantine_show" "GET" "/v1/quarantine/{id}" () -> quarantine::Item: "One quarantined file.";
    "quarantine_diff" "GET" "/v1/quarantine/{id}/diff" () -> quarantine::ItemDiff: "What was changed in a file, every value masked.";
    "quarantine_restore" "POST" "/v1/quarantine/{id}/restore" () -> quarantine::Restored: "Puts a file's secrets back.";
    "quarantine_purge" "POST" "/v1/quarantine/{id}/purge" (quarantine::Purge) -> Done: "Forgets how a file's secrets were written; the credentials stay.";

    "adopt_list" "GET" "/v1/adopt" () -> List<adopt::Adopted>: "Places in files where a tool asks hallpass since it was adopted.";
    "adopt" "POST" "/v1/adopt" (adopt::AdoptFiles) -> List<adopt::AdoptedFile>: "Turns the keys in tools' files into calls.";
    "adopt_undo" "POST" "/v1/adopt/undo" (adopt::Undo) -> List<adopt::Undone>: "Puts adopted files back as they were.";

    "finding_list" "GET" "/v1/findings" () -> List<quarantine::Finding>: "Secrets that the watcher saw and that are still in their files.";
    "watch_show" "GET" "/v1/watch" () -> watch::WatchStatus: "What is watched, and how the watcher is.";
    "watch_add" "POST" "/v1/watch" (watch::Root) -> watch::WatchStatus: "Watches a file or folder, or gives it another mode.";
    "watch_remove" "POST" "/v1/watch/remove" (watch::RemoveRoot) -> watch::WatchStatus: "Stops watching a file or folder.";
    "watch_places" "POST" "/v1/watch/places" (watch::SetPlaces) -> watch::WatchStatus: "Sets the mode for the places of assistants and tools.";

    "task_list" "GET" "/v1/tasks" () -> List<task::Task>: "Tasks, newest first.";
    "task_start" "POST" "/v1/tasks" (task::StartTask) -> task::Task: "Starts a task.";
    "task_show" "GET" "/v1/tasks/{id}" () -> task::Task: "One task.";
    "task_end" "POST" "/v1/tasks/{id}/end" () -> task::Task: "Ends a task and its leases.";

    "mint" "POST" "/v1/mint" (lease::Mint) -> lease::Minted: "Issues a token, or narrows one.";
    "lease_list" "GET" "/v1/leases" () -> List<lease::Lease>: "Leases, newest first.";
    "lease_show" "GET" "/v1/leases/{id}" () -> lease::Lease: "One lease.";
    "lease_prove" "POST" "/v1/leases/{id}/proof" (lease::Prove) -> lease::Proved: "Proves one request with a token that is bound to a key (DPoP).";
    "lease_inspect" "POST" "/v1/leases/{id}/inspect" () -> lease::Inspected: "What the issuer's own server says of a lease's token.";
    "lease_revoke" "POST" "/v1/leases/{id}/revoke" () -> lease::Revoked: "Ends a lease and all that was narrowed from it.";
    "revoke" "POST" "/v1/revoke" (lease::Revoke) -> lease::Revoked: "Ends the lease of a token (RFC 7009).";

    "approval_list" "GET" "/v1/approvals" () -> List<approval::ApprovalRequest>: "Requests that wait for a human.";
    "approve" "POST" "/v1/approvals/{id}/approve" () -> Done: "Approves a request; for a human who is not the asker.";
    "deny" "POST" "/v1/approvals/{id}/deny" () -> Done: "Denies a request.";

    "env" "POST" "/v1/env" (session::OpenEnv) -> session::Env: "Opens a task and mints what it needs, as variables.";
    "trust" "POST" "/v1/trust" (session::TrustProject) -> session::Trust: "Accepts a project's .hallpass.toml, takes that back, or says what its state is.";
}
