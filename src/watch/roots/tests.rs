use super::*;

fn roots() -> Roots {
    Roots::new(vec![
        Root::place("/h/.claude.json", Mode::Notify),
        Root::place("/h/.claude/backups", Mode::Notify),
        Root::folder("/h/work", Mode::Quarantine),
        Root::folder("/h/work/off", Mode::Off),
        Root::folder("/h/work/vendor/mine", Mode::Notify),
        Root::search("/h/src", Mode::Quarantine, 2),
    ])
}

#[test]
fn files() {
    let roots = roots();
    for (path, mode) in [
        ("/h/.claude.json", Some(Mode::Notify)),
        ("/h/.env", None),
        ("/h/.claude/backups/.claude.json.backup.1", Some(Mode::Notify)),
        ("/h/.claude/backups/deep/a.json", None),
        ("/h/work/.env", Some(Mode::Quarantine)),
        ("/h/work/1/2/3/4/5/6/.env", Some(Mode::Quarantine)),
        ("/h/work/1/2/3/4/5/6/7/.env", None),
        ("/h/work/node_modules/a/.env", None),
        ("/h/work/a/target/.env", None),
        ("/h/work/off/.env", None),
        ("/h/work/off/deep/.env", None),
        ("/h/work/vendor/.env", None),
        ("/h/work/vendor/mine/.env", Some(Mode::Notify)),
        ("/h/work/main.rs", None),
        ("/h/src/.env", None),
        ("/h/worker/.env", None),
    ] {
        assert_eq!(roots.file(Path::new(path)), mode, "{path}");
    }
}

#[test]
fn every_config_of_a_project_is_wanted() {
    let roots = roots();
    let catalogue = crate::surface::Catalogue::built_in().unwrap();
    // Git's own folder is not entered: each command of git writes there.
    for name in catalogue.project_names(crate::surface::Os::current()).iter().filter(|n| !n.starts_with(".git/")) {
        let path = Path::new("/h/work/app").join(name.replace('*', "mine"));
        assert_eq!(roots.file(&path), Some(Mode::Quarantine), "{name}");
        assert!(roots.folder(path.parent().unwrap()), "{name}");
    }
}

#[test]
fn folders() {
    let roots = roots();
    for (path, watched) in [
        ("/h", false),
        ("/h/work", true),
        ("/h/work/a/.claude", true),
        ("/h/work/.git", false),
        ("/h/work/.git/hooks", false),
        ("/h/work/off", false),
        ("/h/src", true),
        ("/h/src/a/b", true),
        ("/h/src/a/b/c", false),
        ("/h/src/.hidden", false),
    ] {
        assert_eq!(roots.folder(Path::new(path)), watched, "{path}");
    }
    assert!(roots.leads(Path::new("/h/.claude")) && roots.leads(Path::new("/h")));
    assert!(roots.leads(Path::new("/h/.claude.json")) && !roots.leads(Path::new("/h/.claud")));
    assert_eq!(roots.below(Path::new("/h/.claude")), [PathBuf::from("/h/.claude/backups")]);
}

#[test]
fn projects_are_found_only_where_they_are_searched() {
    let mut roots = roots();
    assert!(!roots.add_project(Path::new("/h/work/p")), "it is watched already");
    assert!(!roots.add_project(Path::new("/h/src/1/2/3")), "too deep");
    assert!(!roots.add_project(Path::new("/h/src/node_modules/p")));
    assert!(roots.add_project(Path::new("/h/src/acme/web")));
    assert_eq!(roots.file(Path::new("/h/src/acme/web/api/.env")), Some(Mode::Quarantine));
    assert_eq!(roots.file(Path::new("/h/src/acme/.env")), None);
    assert!(!roots.add_project(Path::new("/h/src/acme/web")), "once");
    assert!(!roots.searched(Path::new("/h/src/acme/web/sub")), "inside a project nothing is searched");
    for n in 0..2 * MAX_PROJECTS {
        roots.add_project(&PathBuf::from(format!("/h/src/n{n}")));
    }
    assert_eq!(roots.found(), MAX_PROJECTS);
}

#[test]
fn a_link_is_shown_under_its_own_name() {
    let mut roots = roots();
    assert_eq!(roots.shown(Path::new("/dots/claude.json")), None);
    roots.link(Path::new("/h/.claude.json"), Path::new("/dots/claude.json"));
    roots.link(Path::new("/h/.claude/backups"), Path::new("/dots/backups"));
    assert_eq!(roots.shown(Path::new("/dots/claude.json")), Some("/h/.claude.json".into()));
    assert_eq!(roots.shown(Path::new("/dots/backups/a.json")), Some("/h/.claude/backups/a.json".into()));
    assert_eq!(roots.shown(Path::new("/dots/other")), None);
}

#[test]
fn a_folder_that_is_searched_and_added_is_both() {
    let roots = Roots::new(vec![Root::search("/h/src", Mode::Notify, 2), Root::folder("/h/src", Mode::Quarantine)]);
    assert_eq!(roots.file(Path::new("/h/src/.env")), Some(Mode::Quarantine));
    let roots = Roots::new(vec![Root::folder("/h", Mode::Off), Root::folder("/h", Mode::Quarantine)]);
    assert_eq!(roots.file(Path::new("/h/.env")), None);
}
