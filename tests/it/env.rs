//! `env`: exports for a shell, and the way back.

use super::{
    support::{Home, key, wait_until},
    upstream::Upstream,
};

#[test]
fn a_shell_gets_the_variables_and_loses_them_again() {
    let (home, upstream) = (Home::started(), Upstream::start());
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:read");
    let hallpass = env!("CARGO_BIN_EXE_hallpass");
    let script = format!(
        "STRIPE_API_KEY=real; export STRIPE_API_KEY; eval \"$({hallpass} env --as bot --grant up:read --shell bash)\"; \
         echo \"$UP_KEY $HALLPASS_TASK $UP_BASE [$STRIPE_API_KEY]\"; \
         eval \"$({hallpass} env --leave $HALLPASS_TASK --shell bash)\"; echo \"[$UP_KEY$HALLPASS_TASK$UP_BASE]\""
    );
    let mut shell = std::process::Command::new("/bin/sh");
    let base = home.command(["x"]);
    shell.arg("-c").arg(script).env_clear().envs(base.get_envs().filter_map(|(n, v)| Some((n, v?))));
    let out = super::support::run(shell, b"").ok();
    let (inside, outside) = out.split_once('\n').unwrap();
    let mut words = inside.split(' ');
    let token = words.next().unwrap().to_owned();
    assert!(token.starts_with("hp_"), "{out}");
    assert!(words.next().unwrap().starts_with("task_"));
    assert_eq!(words.next().unwrap(), format!("http://127.0.0.1:{}/up", home.port()));
    assert_eq!(words.next().unwrap(), "[]", "the real key is gone inside");
    assert_eq!(outside, "[]");
    wait_until("leaving ends it", || !home.works(&token));
}

#[test]
fn nothing_named_is_a_usage_error() {
    let home = Home::started();
    home.fails("env", 2, "usage");
    assert_eq!(home.line("env --grant openai").code(), 2);
}
