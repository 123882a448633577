//! hallpass: parse, dispatch, print the error, exit code.

use std::process::ExitCode;

use hallpass::cli::{self, output};

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(cli::usage(&error)),
    };
    let json = cli.json;
    match cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(&error, json);
            ExitCode::from(error.exit_code())
        }
    }
}
