// Adds a line to a file the two ways in which VS Code saves: `in-place` and `atomic` (files.saveConflictResolution's
// check by mtime and size comes with it). Usage: editors_save.mjs in-place|atomic FILE LINE
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";

const [, , how, file, line] = process.argv;
const opened = statSync(file);
const text = readFileSync(file, "utf8") + line + "\n";
const now = statSync(file);
if (now.mtimeMs > opened.mtimeMs && now.size !== opened.size) throw new Error("the file on disk is newer");
const target = how === "atomic" ? `${file}.vsctmp` : file;
const fd = openSync(target, "w", opened.mode & 0o777);
writeSync(fd, text);
fsyncSync(fd);
closeSync(fd);
if (target !== file) renameSync(target, file);
