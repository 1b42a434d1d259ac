//! PostgreSQL servers of the tests' own, which end with them.
//!
//! A test runner may give each test a process of its own, so one server serves all processes that
//! run at a time: whoever comes first starts it, and it is stopped when nobody has used it for a
//! while. Who stops the server itself has one to itself.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

pub(crate) struct Server {
    /// Its data, its socket and its log.
    folder: PathBuf,
    programs: PathBuf,
    _user: User,
}

/// What keeps the server alive, however this process ends.
enum User {
    /// A lock on a file, beside those of others.
    OneOfMany { _lock: File },
    /// The input of whoever stops the server: a pipe that ends with this process.
    Only { _watcher: Child },
}

/// The server that all tests share.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::join)
}

/// Stops the shared server once nobody has a lock on the users' file. `$0` is its folder, `$1`
/// where the programs are, `$2` what owns the server.
const WHEN_UNUSED: &str = r#"
(
    while sleep 3; do
        flock -x "$0.start" flock -xn "$0.users" \
            $2 "$1/pg_ctl" -D "$0/data" -m immediate stop && break
    done
) </dev/null >/dev/null 2>&1 &
"#;

/// Stops a server and removes its folder when the pipe ends.
const WHEN_LEFT: &str = r#"
cat >/dev/null
$2 "$1/pg_ctl" -D "$0/data" -m immediate stop >/dev/null 2>&1
rm -rf "$0"
"#;

impl Server {
    /// Uses the shared server, and starts it if it does not run.
    fn join() -> Server {
        // Where it is follows from where the tests are built: two checkouts have two servers.
        let name = env!("CARGO_TARGET_TMPDIR").replace('/', "-");
        let folder = std::env::temp_dir().join(format!("landfall-postgres{name}"));
        let file = |what: &str| {
            let path = format!("{}.{what}", folder.display());
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .unwrap()
        };
        let (start, users) = (file("start"), file("users"));
        start.lock().unwrap();
        users.lock_shared().unwrap();
        let server = Server {
            folder,
            programs: programs(),
            _user: User::OneOfMany { _lock: users },
        };
        if !server.is_running() {
            // What a machine that went down has left.
            let _ = std::fs::remove_dir_all(&server.folder);
            std::fs::create_dir(&server.folder).unwrap();
            server.fill();
            server.start();
            // It goes into the background at once.
            run(&mut watcher(WHEN_UNUSED, &server.folder, &server.programs));
        }
        server
    }

    /// A server for one test alone, which may stop it.
    pub(crate) fn own() -> Server {
        let folder = TempDir::with_prefix("landfall-postgres-").unwrap().keep();
        let programs = programs();
        let watcher = watcher(WHEN_LEFT, &folder, &programs)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Server {
            folder,
            programs,
            _user: User::Only { _watcher: watcher },
        };
        server.fill();
        server.start();
        server
    }

    /// Makes the folder that of a new server.
    fn fill(&self) {
        let template = template(&self.programs);
        run(Command::new("cp")
            .arg("-a")
            .arg(&template)
            .arg(self.folder.join("data")));
        give_away(&self.folder);
    }

    pub(crate) fn start(&self) {
        let options = format!(
            "-k {} -c listen_addresses= -c fsync=off -c full_page_writes=off \
             -c shared_buffers=16MB -c max_connections=300 -c log_min_messages=warning",
            self.folder.display()
        );
        self.pg_ctl(&["-w", "-o", &options, "start"]);
    }

    /// Stops the server; connections break off.
    pub(crate) fn stop(&self) {
        self.pg_ctl(&["-w", "-m", "immediate", "stop"]);
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        run(self.pg_ctl_command().args(arguments));
    }

    fn pg_ctl_command(&self) -> Command {
        let mut command = as_owner(&self.programs.join("pg_ctl"));
        command.arg("-D").arg(self.folder.join("data"));
        command
            .arg("-l")
            .arg(self.folder.join("log"))
            .current_dir("/");
        command
    }

    fn is_running(&self) -> bool {
        let mut status = self.pg_ctl_command();
        let status = status
            .arg("status")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        status.status().unwrap().success()
    }

    /// Where to connect, in the `key=value` form.
    pub(crate) fn connection(&self, user: &str, database: &str) -> String {
        let folder = self.folder.display();
        format!("host={folder} user={user} password=never-shown dbname={database}")
    }
}

/// An empty cluster, made once and copied for each server.
fn template(programs: &Path) -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tmp).unwrap();
    let version = Command::new(programs.join("initdb"))
        .arg("--version")
        .output()
        .unwrap();
    let version =
        String::from_utf8_lossy(&version.stdout).replace(|c: char| !c.is_ascii_digit(), "");
    let template = tmp.join(format!("postgres-{version}"));
    let lock = File::create(tmp.join("postgres.lock")).unwrap();
    lock.lock().unwrap();
    if !template.exists() {
        let folder = TempDir::with_prefix("landfall-postgres-").unwrap();
        give_away(folder.path());
        let mut initdb = as_owner(&programs.join("initdb"));
        initdb.args([
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ]);
        run(initdb.arg(folder.path().join("data")));
        // Moved at the end: what is there is whole.
        let copying = tmp.join("postgres-copying");
        let _ = std::fs::remove_dir_all(&copying);
        run(Command::new("cp")
            .arg("-a")
            .arg(folder.path().join("data"))
            .arg(&copying));
        std::fs::rename(copying, &template).unwrap();
    }
    template
}

/// Where `initdb` and its like are: on the path, else where Debian puts them.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut debian: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let found = folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists());
    found.expect("initdb and pg_ctl: install postgresql, as tests/run does")
}

/// The server refuses to run as root.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Outlives this process, also where a runner ends its whole group.
fn watcher(script: &str, folder: &Path, programs: &Path) -> Command {
    let owner = if is_root() {
        "runuser -u postgres --"
    } else {
        ""
    };
    let mut command = Command::new("setsid");
    command
        .args(["sh", "-c", script])
        .args([folder, programs])
        .arg(owner);
    command
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn as_owner(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres"]).arg(folder));
    }
}

fn run(command: &mut Command) {
    // The server keeps what it inherits: pipes would never end.
    let output = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(std::env::temp_dir().join(format!("landfall-run-{}", std::process::id())))
        .unwrap();
    let status = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .status()
        .unwrap();
    let path = std::env::temp_dir().join(format!("landfall-run-{}", std::process::id()));
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    assert!(status.success(), "{command:?}: {said}");
}
