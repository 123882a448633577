//! `hallpass mcp serve`: an MCP server of our own, so that an agent can ask politely.
//!
//! Owns the tools and how they speak. Crate rmcp, the official SDK: it knows every revision of the protocol. Nothing is
//! decided here, and no tool returns a key or a token.

mod desk;
mod types;

use std::sync::Arc;

use rmcp::{
    ServerHandler, ServiceExt as _,
    handler::server::{
        router::tool::ToolRouter,
        wrapper::{Json, Parameters},
    },
    model::{CallToolResult, ContentBlock},
    tool, tool_handler, tool_router,
    transport::io::stdio_pipes,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    paths::Paths,
};
use desk::Desk;
use types::{Access, Ended, HandOver, Handle, OneLease, RequestAccess};

/// The server.
struct Server {
    desk: Arc<Desk>,
    tools: ToolRouter<Self>,
}

/// Serves standard input and output until the client closes them.
///
/// # Errors
/// It could not be started.
pub fn run(paths: Paths, claim: Option<String>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::new(Code::Io, format!("the server could not be started: {e}")))?;
    let desk = Arc::new(Desk::new(paths, claim));
    let outcome = runtime.block_on(serve(desk.clone()));
    // A read of standard input, or a wait for a person, must not hold up the end.
    runtime.shutdown_background();
    // The daemon ends the task by itself when this process is gone: a failure here loses nothing.
    let _ = desk.end();
    outcome
}

async fn serve(desk: Arc<Desk>) -> Result<()> {
    let sweeping = desk.clone();
    // Without a daemon nothing is left that works either.
    drop(tokio::task::spawn_blocking(move || sweeping.sweep()));
    let on = |kind| signal(kind).map_err(|e| Error::new(Code::Io, format!("signals cannot be heard: {e}")));
    let (mut term, mut int) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let serving = async {
        // A client that goes away before it has said hello is none that something went wrong with.
        if let Ok(running) = (Server { desk, tools: Server::tool_router() }).serve(stdio_pipes()).await {
            let _ = running.waiting().await;
        }
    };
    tokio::select! {
        () = serving => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

#[tool_router]
impl Server {
    #[tool(
        description = "List what hallpass may give you (grants: issuer, scopes, resources, whether a person has to approve) and the leases you hold. Call this first.",
        annotations(title = "List access", read_only_hint = true, idempotent_hint = true, open_world_hint = false)
    )]
    async fn list_access(&self) -> Result<Json<Access>, CallToolResult> {
        self.ask(Desk::list).await
    }

    #[tool(
        description = "Ask for a short-lived, scoped token, with a reason. Where the grant says so it waits for a person, who sees the reason as your words. You get a handle (a lease), never the token: run commands as `hallpass exec --lease LEASE -- COMMAND`, which sets the variables. Without a grant the error names the command that a person would have to run: tell them, do not run it yourself.",
        annotations(
            title = "Request access",
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn request_access(
        &self,
        Parameters(asked): Parameters<RequestAccess>,
    ) -> Result<Json<Handle>, CallToolResult> {
        self.ask(move |desk| desk.request(&asked)).await
    }

    #[tool(
        description = "Make a narrower token for a sub-agent out of a lease of yours: less scope, fewer resources, a shorter life, a number of uses. Pass on the handle it returns; it ends when yours does.",
        annotations(
            title = "Hand over",
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn hand_over(&self, Parameters(asked): Parameters<HandOver>) -> Result<Json<Handle>, CallToolResult> {
        self.ask(move |desk| desk.hand_over(&asked)).await
    }

    #[tool(
        description = "End a lease, and all that was handed over from it, as soon as it is not needed any more.",
        annotations(
            title = "Revoke a lease",
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn revoke_lease(&self, Parameters(asked): Parameters<OneLease>) -> Result<Json<Ended>, CallToolResult> {
        self.ask(move |desk| desk.revoke(&asked.lease)).await
    }

    #[tool(
        description = "End your task: every token that was given out here works no more. Call this when the work is done.",
        annotations(
            title = "End the task",
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn end_task(&self) -> Result<Json<Ended>, CallToolResult> {
        self.ask(Desk::end).await
    }
}

#[tool_handler(
    router = self.tools,
    name = "hallpass",
    instructions = "hallpass gives short-lived, scoped tokens instead of API keys. Ask for the least that does the job, hand less to sub-agents, end the task when you are done. Tokens never appear here: commands get them by `hallpass exec --lease LEASE -- COMMAND`."
)]
impl ServerHandler for Server {}

impl Server {
    /// Runs it on a thread: it may wait for a person, and other tools go on meanwhile.
    async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Desk) -> Result<T> + Send + 'static,
    ) -> Result<Json<T>, CallToolResult> {
        let desk = self.desk.clone();
        let done = tokio::task::spawn_blocking(move || what(&desk)).await;
        done.unwrap_or_else(|_| Err(Error::internal("the question to the daemon broke off")))
            .map(Json)
            .map_err(|e| failed(&e))
    }
}

/// An error that the model can read: what went wrong, then what to do.
fn failed(error: &Error) -> CallToolResult {
    let mut text = format!("{} ({})", error.detail, error.code.word());
    if let Some(hint) = &error.hint {
        let who = match error.code {
            Code::NoGrant | Code::HumanOnly => "what a person can do, in a terminal of their own: ",
            _ => "what to do: ",
        };
        text.push_str(&format!("\n{who}{hint}"));
    }
    CallToolResult::error(vec![ContentBlock::text(text)])
}
