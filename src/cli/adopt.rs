//! `hallpass adopt`: assistants and tools ask hallpass instead of holding a key; `--undo` puts everything back.

mod check;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    context::Context,
    input, link,
    output::{self, DIM, GREEN, RED, YELLOW, safe, styled},
    table::Rows,
};
use crate::{
    api::{
        List,
        adopt::{AdoptFiles, Adopted, AdoptedFile, ToolFile, Undo, Undone},
        problem::Code,
    },
    error::{Error, Result},
    scan::places::existing,
    surface::{Catalogue, Os, Scope, Surface, With, expand},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Shows what was found, what replaces it and what the tool may then do, with a diff, and asks.\n\
    The scope `release` is the key itself, given at each call: the least bad, where a tool cannot use the gateway."
)]
pub struct Args {
    /// Tools and files; without any, all that are there, and those of this folder
    what: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only show what would change, with every value masked
    #[arg(long)]
    dry_run: bool,
    /// Run the helper of each adopted place and say whether it answers
    #[arg(long, conflicts_with_all = ["undo", "dry_run"])]
    check: bool,
    /// Put the files back as they were, byte for byte; of one tool, or of all
    #[arg(long, conflicts_with = "dry_run")]
    undo: bool,
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let catalogue = Catalogue::built_in()?;
    if args.undo {
        return undo(cx, &catalogue, &args);
    }
    if args.check {
        return check::run(cx, &catalogue, &args);
    }
    let program =
        std::env::current_exe().map_err(|e| Error::new(Code::Io, format!("this program has no path: {e}")))?;
    let program = program.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        Error::new(Code::InvalidValue, "the path of this program is not UTF-8").hint("install it elsewhere")
    })?;
    let mut body = AdoptFiles { files: files(&catalogue, &args.what)?, program, dry_run: true };
    let mut client = cx.client()?;
    let plan: List<AdoptedFile> = client.post("/v1/adopt", &body)?;
    let failed = |list: &List<AdoptedFile>| list.items.iter().any(|file| file.error.is_some());
    let some = plan.items.iter().flat_map(|file| &file.places).any(|place| place.with.is_some());
    if args.dry_run || !some {
        cx.show(&plan, |plan| render(plan, true))?;
        return Ok(u8::from(failed(&plan)));
    }
    if !args.yes {
        output::note(&render(&plan, true));
        input::confirm("Adopt them?", false)?;
    }
    let places = || plan.items.iter().flat_map(|file| &file.places);
    let links: BTreeSet<&String> = places().filter_map(|place| place.link.as_ref()).collect();
    links.into_iter().try_for_each(|path| link::make(Path::new(path)))?;
    body.dry_run = false;
    body.files.retain(|file| plan.items.iter().any(|item| item.path == file.path && !item.places.is_empty()));
    let done: List<AdoptedFile> = client.post("/v1/adopt", &body)?;
    cx.show(&done, |done| {
        format!(
            "{}\n{}",
            render(done, false),
            "`hallpass adopt --check` tries them; `hallpass adopt --undo` puts everything back."
        )
    })?;
    Ok(u8::from(failed(&done)))
}

/// The files that are there, with the tools whose they are.
fn files(catalogue: &Catalogue, what: &[String]) -> Result<Vec<ToolFile>> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| Error::new(Code::Usage, "there is no home to look in").hint("set HOME"))?;
    let here =
        std::env::current_dir().map_err(|e| Error::new(Code::Io, format!("this folder cannot be found: {e}")))?;
    let (tools, paths): (Vec<_>, Vec<_>) = what.iter().partition(|word| catalogue.get(word).is_some());
    let mut found = Vec::new();
    for surface in catalogue.iter().filter(|surface| !surface.replace.is_empty()) {
        let named = tools.iter().any(|tool| **tool == surface.name);
        if what.is_empty() || named {
            let there = of_user(surface, &home).into_iter().chain(of_project(surface, &here));
            found.extend(there.map(|path| (path, surface)));
        }
    }
    for path in paths {
        let path = std::path::absolute(path).map_err(|e| Error::new(Code::Io, format!("{}: {e}", safe(path))))?;
        let owner = catalogue
            .iter()
            .filter(|surface| !surface.replace.is_empty())
            .filter_map(|surface| Some((how_much_its(surface, &home, &path)?, surface)))
            .max_by_key(|(much, surface)| (*much, std::cmp::Reverse(&surface.name)));
        let (_, surface) = owner.ok_or_else(|| {
            let shown = safe(&path.to_string_lossy());
            Error::new(
                Code::NotFound,
                format!("{shown} is no file of a tool that can be adopted, and {:?} is no such tool", shown),
            )
            .hint("`hallpass quarantine FILE` leaves a reference instead")
        })?;
        if !path.exists() {
            return Err(Error::new(Code::NotFound, format!("there is no {}", safe(&path.to_string_lossy())))
                .hint("name another file"));
        }
        found.push((path, surface));
    }
    let mut files: Vec<ToolFile> = found
        .into_iter()
        .filter_map(|(path, surface)| {
            let paths = other_paths(surface, &home);
            Some(ToolFile { path: path.to_str()?.to_owned(), tool: surface.name.clone(), paths })
        })
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Where the tool's other files and the links that it looks for are, by what the catalogue calls them.
fn other_paths(surface: &Surface, home: &Path) -> BTreeMap<String, String> {
    let env = |name: &str| std::env::var(name).ok();
    let text = |path: PathBuf| path.to_str().map(ToOwned::to_owned);
    let mut paths = BTreeMap::new();
    for entry in &surface.replace {
        if let Some(beside) = &entry.beside {
            let all: Vec<PathBuf> = beside.file.iter().filter_map(|pattern| expand(pattern, home, &env)).collect();
            let chosen = all.iter().find(|path| path.exists()).or(all.first());
            paths.extend(chosen.and_then(|path| Some((beside.name().to_owned(), text(path.clone())?))));
        }
        if let Some(name) = &entry.link {
            let path = match name {
                path if path.contains('/') => expand(path, home, &env),
                // A name of ours that somebody else has is an error, which making the link says.
                name if name.contains("hallpass") => link::on_path(home, name),
                name => link::free_on_path(home, name),
            };
            paths.extend(path.and_then(|path| Some((name.clone(), text(path)?))));
        }
    }
    paths
}

fn of_user(surface: &Surface, home: &Path) -> Vec<PathBuf> {
    let patterns =
        surface.file.iter().filter(|file| file.scope == Scope::User).flat_map(|file| file.paths(Os::current()));
    let places = patterns.filter_map(|pattern| expand(pattern, home, &|name: &str| std::env::var(name).ok()));
    places.flat_map(|place| existing(&place)).filter(|path| path.is_file()).collect()
}

fn of_project(surface: &Surface, folder: &Path) -> Vec<PathBuf> {
    let names =
        surface.file.iter().filter(|file| file.scope == Scope::Project).flat_map(|file| file.paths(Os::current()));
    names.flat_map(|name| existing(&folder.join(name))).filter(|path| path.is_file()).collect()
}

/// How much of the path says that the file is the tool's: all of it for one in its own place in the home, the end of it
/// for a project's. Many tools read a `.env`; one that keeps it in a folder of its own name comes first.
fn how_much_its(surface: &Surface, home: &Path, path: &Path) -> Option<usize> {
    if of_user(surface, home).iter().any(|own| own == path) {
        return Some(usize::MAX);
    }
    let projects =
        surface.file.iter().filter(|file| file.scope == Scope::Project).flat_map(|file| file.paths(Os::current()));
    projects.filter(|name| path.ends_with(name)).map(|name| Path::new(name).components().count()).max()
}

fn render(list: &List<AdoptedFile>, with_diff: bool) -> String {
    let mut rows = Rows::new(&["tool", "file", "key", "now", "may then have", "who"]);
    let (mut more, mut stays, mut links) = (String::new(), String::new(), BTreeSet::new());
    for file in &list.items {
        for place in &file.places {
            if let (Some(with), Some(want), Some(who)) = (&place.with, &place.want, &place.principal) {
                rows.row(&[&file.tool, &file.path, &place.at, with, want, who]);
                links.extend(place.link.as_ref().filter(|_| with_diff));
            }
            if let Some(why) = &place.why {
                let (path, at, why) = (safe(&file.path), safe(&place.at), safe(why));
                stays.push_str(&format!("\n{} {path} {at} stays: {why}", styled(YELLOW, "-")));
            }
        }
        if with_diff && file.places.iter().any(|place| place.with.is_some()) {
            more.push_str(&format!("\n{}", safe(&file.diff)));
        }
        if let Some(error) = &file.error {
            let hint = file.hint.as_deref().map(|hint| format!(" ({})", safe(hint))).unwrap_or_default();
            stays.push_str(&format!("\n{} {}: {}{hint}", styled(RED, "✗"), safe(&file.path), safe(error)));
        }
        if !with_diff && file.reloads != Some(true) && file.places.iter().any(|place| place.with.is_some()) {
            stays.push_str(&format!(
                "\n{}",
                styled(DIM, &format!("restart {} to have it take effect", safe(&file.tool)))
            ));
        }
    }
    let rendered = list.items.iter().flat_map(|file| &file.places);
    let rendered = rendered.filter_map(|place| place.with.as_deref()).any(|with| with == With::RenderedFile.word());
    if rendered {
        let note =
            "a rendered file is there while the daemon runs: `hallpass service install` starts it with your session";
        stays.push_str(&format!("\n{} {note}", styled(YELLOW, "!")));
    }
    let links: String = links.into_iter().map(|link| format!("\n{} becomes a link to hallpass", safe(link))).collect();
    format!("{}{}{links}{stays}{more}", rows.render("no key that a tool could ask for instead"), starts(list))
}

/// How each tool is started from now on that gets its token from the environment.
fn starts(list: &List<AdoptedFile>) -> String {
    let mut programs: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for place in list.items.iter().flat_map(|file| &file.places) {
        if let (Some(start), Some(want)) = (&place.start, &place.want) {
            // What is set for it stands before its name.
            let (set, program) = start.split_at(start.rfind(' ').map_or(0, |at| at + 1));
            let wants = programs.entry(program).or_default();
            // One variable holds one key: a second one is another start.
            if !wants.contains(&(set, want.as_str())) {
                wants.push((set, want));
            }
        }
    }
    let mut lines = String::new();
    for (program, mut wants) in programs {
        while !wants.is_empty() {
            let mut names: Vec<&str> = Vec::new();
            let name = |set: &str| set.split_once('=').map(|(name, _)| name.to_owned());
            let (now, later): (Vec<_>, Vec<_>) = wants.into_iter().partition(|(set, _)| {
                let clash = name(set).is_some() && names.iter().any(|other| name(other) == name(set) && other != set);
                if !clash {
                    names.push(set);
                }
                !clash
            });
            names.dedup();
            let set: String = names.into_iter().map(safe).collect();
            let grants: String = now.iter().map(|(_, want)| format!("--grant {} ", safe(want))).collect();
            let start = styled(YELLOW, "!");
            lines.push_str(&format!(
                "\n{start} from now on start it so: {set}hallpass exec {grants}-- {}",
                safe(program)
            ));
            wants = later;
        }
    }
    lines
}

fn undo(cx: &Context, catalogue: &Catalogue, args: &Args) -> Result<u8> {
    let tool = match args.what.as_slice() {
        [] => None,
        [tool] if catalogue.get(tool).is_some() => Some(tool.clone()),
        _ => {
            return Err(Error::new(Code::Usage, "--undo takes one tool, or none for all")
                .hint("hallpass adopt --undo claude-code"));
        }
    };
    let mut client = cx.client()?;
    let adopted: List<Adopted> = client.get("/v1/adopt")?;
    let keys = adopted.items.iter().filter(|one| !one.check.is_empty());
    let count = keys.filter(|one| tool.as_ref().is_none_or(|tool| *tool == one.tool)).count();
    if count > 0 && !args.yes {
        input::confirm(&format!("Put {count} keys back into their files?"), false)?;
    }
    let done: List<Undone> = client.post("/v1/adopt/undo", &Undo { tool })?;
    cx.show(&done, |done| {
        let line = |one: &Undone| match (&one.restored, &one.error) {
            (Some(restored), _) if restored.identical => {
                format!("{} {} is as it was", styled(GREEN, "✓"), safe(&one.path))
            }
            (Some(_), _) => format!(
                "{} {} has its key again, and keeps what was changed since",
                styled(GREEN, "✓"),
                safe(&one.path)
            ),
            (None, error) => {
                format!("{} {}: {}", styled(RED, "✗"), safe(&one.path), safe(error.as_deref().unwrap_or_default()))
            }
        };
        let lines: Vec<String> = done.items.iter().map(line).collect();
        if lines.is_empty() {
            return "nothing was adopted".into();
        }
        format!(
            "{}\nIssuers, grants and helpers stay: `hallpass grant list`, `hallpass helper list`.",
            lines.join("\n")
        )
    })?;
    Ok(u8::from(done.items.iter().any(|one| one.error.is_some())))
}
