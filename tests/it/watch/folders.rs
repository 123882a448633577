//! Folders that come, go and move; links; projects.

use std::{collections::HashSet, fs, os::unix::fs::symlink, path::PathBuf};

use hallpass::watch::{Mode, Root, WatchConfig, Why};

use super::Scene;

#[test]
fn a_folder_made_and_written_into_at_once_500_of_500() {
    let scene = Scene::project();
    let mut wanted = HashSet::new();
    for n in 0..500 {
        let folder = scene.path(&format!("project/d{n}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(".env"), "A=1\n").unwrap();
        wanted.insert(folder.join(".env"));
    }
    scene.sees_all(wanted);
}

#[test]
fn nested_folders_made_and_written_into_at_once_500_of_500() {
    let scene = Scene::project();
    let mut wanted = HashSet::new();
    for n in 0..500 {
        let folder = scene.path(&format!("project/n{n}/a/b"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(".env"), "A=1\n").unwrap();
        wanted.insert(folder.join(".env"));
    }
    scene.sees_all(wanted);
}

#[test]
fn a_root_removed_made_again_and_moved_away() {
    let scene = Scene::project();
    for round in 0..5 {
        fs::remove_dir_all(scene.path("project")).unwrap();
        fs::create_dir_all(scene.path("project/sub")).unwrap();
        fs::write(scene.path("project/sub/.env"), format!("A={round}\n")).unwrap();
        scene.sees("project/sub/.env");
        fs::rename(scene.path("project"), scene.path(&format!("old{round}"))).unwrap();
        fs::create_dir(scene.path("project")).unwrap();
        scene.write("project/.env", "A=1\n");
        scene.sees("project/.env");
    }
    // What was moved away is not watched under its old name.
    scene.write("old0/sub/.env", "A=9\n");
    scene.mark_without("project/mark.env", &["old0"]);
}

#[test]
fn a_folder_moved_inside_and_one_moved_in() {
    let scene = Scene::project();
    fs::create_dir_all(scene.path("project/a/deep")).unwrap();
    scene.write("project/a/deep/.env", "A=1\n");
    scene.sees("project/a/deep/.env");
    fs::rename(scene.path("project/a"), scene.path("project/b")).unwrap();
    assert_eq!(scene.sees("project/b/deep/.env").why, Why::New);
    scene.write("project/b/deep/.env", "A=2\n");
    scene.sees("project/b/deep/.env");
    fs::create_dir_all(scene.path("outside/deep")).unwrap();
    scene.write("outside/deep/.env", "A=1\n");
    fs::rename(scene.path("outside"), scene.path("project/inside")).unwrap();
    scene.sees("project/inside/deep/.env");
}

#[test]
fn a_root_that_is_not_there_yet_nor_the_folders_above_it() {
    let scene = Scene::with(|home| {
        WatchConfig::new(vec![
            Root::place(home.join(".config/tool/deep/settings.json"), Mode::Notify),
            Root::place(home.join(".history"), Mode::Notify),
        ])
    });
    for _ in 0..3 {
        fs::create_dir_all(scene.path(".config/tool/deep")).unwrap();
        scene.write(".config/tool/deep/settings.json", "{}");
        assert_eq!(scene.sees(".config/tool/deep/settings.json").mode, Mode::Notify);
        scene.write(".config/tool/deep/settings.json", "{ }");
        scene.sees(".config/tool/deep/settings.json");
        fs::remove_dir_all(scene.path(".config")).unwrap();
    }
    // A place counts whatever its name; what lies beside it does not.
    scene.write("other.json", "{}");
    scene.mark_without(".history", &["other.json"]);
}

#[test]
fn links_as_stow_makes_them_are_followed_and_their_targets_watched() {
    let scene = Scene::with(|home| {
        fs::create_dir_all(home.join("dots/claude/backups")).unwrap();
        fs::write(home.join("dots/claude.json"), "{}").unwrap();
        symlink(home.join("dots/claude.json"), home.join(".claude.json")).unwrap();
        symlink("dots/claude", home.join(".claude")).unwrap();
        let place = |name| Root::place(home.join(name), Mode::Notify);
        WatchConfig::new(vec![place(".claude.json"), place(".claude"), place(".claude/backups")])
    });
    // By its own name, by the target's name, and by a save that renames over the target.
    scene.write(".claude.json", "{ }");
    scene.sees(".claude.json");
    scene.write("dots/claude.json", "{  }");
    scene.sees(".claude.json");
    scene.write("dots/new", "{   }");
    fs::rename(scene.path("dots/new"), scene.path("dots/claude.json")).unwrap();
    scene.sees(".claude.json");
    scene.write("dots/claude/settings.json", "{}");
    scene.sees(".claude/settings.json");
    scene.write("dots/claude/backups/a.json", "{}");
    scene.sees(".claude/backups/a.json");
    // The link is replaced by a file, and by another link.
    fs::remove_file(scene.path(".claude.json")).unwrap();
    scene.write(".claude.json", "{}");
    scene.sees(".claude.json");
    fs::remove_file(scene.path(".claude")).unwrap();
    fs::create_dir(scene.path("other")).unwrap();
    scene.write("other/settings.json", "{}");
    symlink(scene.path("other"), scene.path(".claude")).unwrap();
    assert_eq!(scene.sees(".claude/settings.json").why, Why::New);
    scene.write("other/settings.json", "{ }");
    assert_eq!(scene.sees(".claude/settings.json").why, Why::Event);
}

#[test]
fn loops_of_links_end() {
    let scene = Scene::with(|home| {
        fs::create_dir_all(home.join("project/a")).unwrap();
        symlink(home.join("project"), home.join("project/a/up")).unwrap();
        symlink("b.env", home.join("project/a.env")).unwrap();
        symlink("a.env", home.join("project/b.env")).unwrap();
        let mut config = WatchConfig::new(vec![Root::folder(home.join("project"), Mode::Notify)]);
        config.existing = true;
        config
    });
    assert_eq!(scene.watch.status().folders, 2);
}

#[test]
fn ignored_folders_cost_no_watch_and_say_nothing() {
    let scene = Scene::with(|home| {
        for folder in ["node_modules/a/b", ".git/objects/aa", "target/debug", "mine/lib", "cached/x", "src"] {
            fs::create_dir_all(home.join("project").join(folder)).unwrap();
        }
        fs::write(home.join("project/mine/pyvenv.cfg"), "").unwrap();
        fs::write(home.join("project/cached/CACHEDIR.TAG"), "").unwrap();
        WatchConfig::new(vec![Root::folder(home.join("project"), Mode::Notify)])
    });
    assert_eq!(scene.watch.status().folders, 2, "the project and src");
    for n in 0..1000 {
        fs::create_dir_all(scene.path(&format!("project/node_modules/p{n}"))).unwrap();
        scene.write(&format!("project/node_modules/p{n}/package.json"), "{}");
    }
    fs::remove_dir_all(scene.path("project/node_modules")).unwrap();
    fs::create_dir_all(scene.path("project/node_modules/again")).unwrap();
    scene.write("project/node_modules/again/.env", "A=1\n");
    scene.mark_without("project/mark.env", &["project/node_modules"]);
    assert_eq!(scene.watch.status().folders, 2);
}

#[test]
fn projects_are_found_at_the_start_and_when_they_are_cloned() {
    let scene = Scene::with(|home| {
        fs::create_dir_all(home.join("src/acme/web/.git")).unwrap();
        fs::create_dir_all(home.join("src/acme/web/api")).unwrap();
        fs::create_dir_all(home.join("src/acme/plain")).unwrap();
        fs::create_dir_all(home.join("src/.hidden/p/.git")).unwrap();
        fs::create_dir_all(home.join("src/1/2/3/4/.git")).unwrap();
        WatchConfig::new(vec![Root::search(home.join("src"), Mode::Quarantine, 3)])
    });
    assert_eq!(scene.watch.status().projects, 1);
    scene.write("src/acme/plain/.env", "A=1\n");
    scene.write("src/.hidden/p/.env", "A=1\n");
    scene.mark_without("src/acme/web/api/.env", &["src/acme/plain", "src/.hidden"]);
    fs::create_dir_all(scene.path("src/new")).unwrap();
    scene.write("src/new/.env", "A=1\n");
    fs::create_dir(scene.path("src/new/.git")).unwrap();
    assert_eq!(scene.sees("src/new/.env").mode, Mode::Quarantine);
    // A work tree has a file there.
    fs::create_dir(scene.path("src/tree")).unwrap();
    scene.write("src/tree/.git", "gitdir: elsewhere\n");
    scene.status(|status| status.projects == 3);
    scene.write("src/tree/.env", "A=1\n");
    scene.sees("src/tree/.env");
}

#[test]
fn roots_are_taken_out_and_put_in_while_it_runs() {
    let scene = Scene::with(|home| {
        for name in ["a", "b/sub", "a/off"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        WatchConfig::new(vec![Root::folder(home.join("a"), Mode::Notify), Root::folder(home.join("a/off"), Mode::Off)])
    });
    scene.write("a/off/.env", "A=1\n");
    scene.write("b/.env", "A=1\n");
    scene.mark_without("a/mark.env", &["a/off", "b"]);
    let mut config = WatchConfig::new(vec![Root::folder(scene.path("b"), Mode::Quarantine)]);
    config.existing = true;
    scene.watch.reload(config);
    assert_eq!(scene.sees("b/.env").why, Why::Sweep);
    let status = scene.status(|status| status.ready);
    assert_eq!(status.folders, 2, "{status:?}");
    scene.write("a/.env", "A=1\n");
    scene.mark_without("b/sub/mark.env", &["a"]);
}

#[test]
fn what_is_there_at_the_start_is_handed_out_when_asked_for() {
    let scene = Scene::with(|home| {
        fs::create_dir_all(home.join("p/sub/node_modules")).unwrap();
        for name in ["p/.env", "p/sub/config.toml", "p/sub/main.rs", "p/sub/node_modules/.env"] {
            fs::write(home.join(name), "").unwrap();
        }
        let mut config = WatchConfig::new(vec![Root::folder(home.join("p"), Mode::Notify)]);
        config.existing = true;
        config
    });
    let seen: HashSet<PathBuf> = scene.seen.try_iter().map(|seen| seen.path).collect();
    assert_eq!(seen, HashSet::from([scene.path("p/.env"), scene.path("p/sub/config.toml")]));
}
