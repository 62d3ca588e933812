//! Calls that are no client library's: what waits, what hands off, what only writes a log.

use klamm_rules::evidence::EffectKind;

use super::File;
use super::scope::ScopeId;
use crate::tree::{Call, Expr, ExprKind};

/// What a call does, of those that are known by their name and what they are called on.
struct Known {
    names: &'static [&'static str],
    /// Last words of types, beginnings of paths, or (in lower case) parts of variables' names; empty for any receiver.
    on: &'static [&'static str],
    kind: EffectKind,
}

const fn known(names: &'static [&'static str], on: &'static [&'static str], kind: EffectKind) -> Known {
    Known { names, on, kind }
}

const EXECUTORS: &[&str] = &[
    "ExecutorService",
    "Executor",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "ForkJoinPool",
    "ScheduledExecutorService",
    "ThreadPoolTaskExecutor",
    "TaskExecutor",
    "ThreadPool",
    "Pool",
    "Executors",
    "executor",
    "pool",
    "workers",
];
const QUEUES: &[&str] = &[
    "BlockingQueue",
    "LinkedBlockingQueue",
    "ArrayBlockingQueue",
    "ConcurrentLinkedQueue",
    "LinkedBlockingDeque",
    "Queue",
    "SimpleQueue",
    "BlockingDeque",
    "PriorityBlockingQueue",
    "Channel",
    "queue",
];
const SQL: &[&str] = &[
    "PreparedStatement",
    "Statement",
    "JdbcTemplate",
    "NamedParameterJdbcTemplate",
    "EntityManager",
    "Connection",
    "cursor",
    "cur",
    "conn",
    "connection",
    "session",
    "jdbc",
    "jdbctemplate",
    "db",
    "DB",
    "Pool",
    "PgPool",
    "pgpool",
    "repository",
    "repo",
    "dao",
    "stmt",
    "tx",
    "prisma",
    "knex",
    "collection",
];
const HTTP: &[&str] = &[
    "HttpClient",
    "RestTemplate",
    "OkHttpClient",
    "CloseableHttpClient",
    "requests",
    "httpx",
    "axios",
    "http",
    "httpclient",
    "resttemplate",
    "restclient",
    "RestClient",
    "reqwest",
    "Session",
    "aiohttp",
    "urllib",
    "got",
    "superagent",
];

static KNOWN: &[Known] = &[
    known(
        &["submit", "execute", "apply_async", "map_async", "schedule", "spawn"],
        EXECUTORS,
        EffectKind::HandOff,
    ),
    known(
        &["put", "offer", "add", "put_nowait", "push", "enqueue", "send", "trySend", "addLast", "try_send"],
        QUEUES,
        EffectKind::HandOff,
    ),
    known(&["runAsync", "supplyAsync"], &["CompletableFuture"], EffectKind::HandOff),
    known(&["create_task", "ensure_future", "run_in_executor"], &[], EffectKind::HandOff),
    known(&["start"], &["Thread", "Process", "thread"], EffectKind::HandOff),
    known(
        &["spawn", "spawn_blocking"],
        &["tokio", "thread", "task", "async_std", "rayon", "std"],
        EffectKind::HandOff,
    ),
    known(&["launch", "async", "thread"], &[""], EffectKind::HandOff),
    known(&["launch"], &["GlobalScope", "scope", "CoroutineScope"], EffectKind::HandOff),
    known(&["setImmediate", "setTimeout"], &[], EffectKind::HandOff),
    known(
        &[
            "awaitTermination",
            "invokeAll",
            "awaitAll",
            "joinAll",
            "as_completed",
            "Wait",
            "join_all",
            "try_join_all",
        ],
        &[],
        EffectKind::Join,
    ),
    known(&["gather"], &["asyncio"], EffectKind::Join),
    known(&["all", "allSettled"], &["Promise"], EffectKind::Join),
    known(
        &["join", "await"],
        &[
            "Thread",
            "CompletableFuture",
            "CountDownLatch",
            "queue",
            "Queue",
            "thread",
            "latch",
            "future",
            "futures",
            "tasks",
            "handle",
            "worker",
            "workers",
        ],
        EffectKind::Join,
    ),
    known(&["get", "result"], &["Future", "CompletableFuture", "future", "fut"], EffectKind::Join),
    known(
        &["sleep", "Sleep", "sleepUninterruptibly"],
        &[
            "Thread",
            "time",
            "TimeUnit",
            "SECONDS",
            "MILLISECONDS",
            "MINUTES",
            "asyncio",
            "thread",
            "tokio",
            "Uninterruptibles",
        ],
        EffectKind::Block,
    ),
    known(
        &[
            "executeQuery",
            "executeUpdate",
            "executeBatch",
            "queryForObject",
            "queryForList",
            "batchUpdate",
            "persist",
        ],
        &[],
        EffectKind::Store,
    ),
    known(
        &[
            "execute",
            "query",
            "update",
            "executemany",
            "save",
            "saveAll",
            "saveAndFlush",
            "insert",
            "commit",
            "find",
            "findById",
            "Exec",
            "ExecContext",
            "Query",
            "QueryRow",
            "QueryContext",
            "QueryRowContext",
            "delete",
            "deleteById",
            "merge",
            "insertOne",
            "updateOne",
            "insert_one",
            "update_one",
            "fetch_one",
            "fetch_all",
        ],
        SQL,
        EffectKind::Store,
    ),
    known(
        &[
            "send",
            "execute",
            "get",
            "post",
            "put",
            "patch",
            "delete",
            "request",
            "exchange",
            "getForObject",
            "postForObject",
            "postForEntity",
            "getForEntity",
            "newCall",
            "Get",
            "Post",
            "PostForm",
            "Do",
            "urlopen",
            "head",
        ],
        HTTP,
        EffectKind::Block,
    ),
    known(&["urlopen", "fetch", "sleep", "delay"], &[""], EffectKind::Block),
    known(
        &["openConnection", "getResponseCode", "getInputStream"],
        &["URL", "HttpURLConnection", "url", "conn", "connection"],
        EffectKind::Block,
    ),
];

/// Methods that write a log.
const LOG: &[&str] = &[
    "info",
    "debug",
    "warn",
    "warning",
    "error",
    "trace",
    "log",
    "print",
    "println",
    "printf",
    "exception",
    "printStackTrace",
    "Println",
    "Printf",
    "Print",
    "Error",
    "Errorf",
    "Warn",
    "Warnf",
    "Info",
    "Infof",
    "Debug",
    "eprintln",
    "severe",
    "fine",
    "critical",
    "fatal",
    "isDebugEnabled",
];
const LOGGERS: &[&str] = &["log", "console", "out", "err", "fmt", "slog", "tracing", "sentry", "sys", "zap"];

/// Methods that read or convert a record, and do no work on it.
const PURE: &[&str] = &[
    "parse",
    "loads",
    "decode",
    "readValue",
    "readTree",
    "deserialize",
    "fromJson",
    "toString",
    "String",
    "str",
    "format",
    "len",
    "valueOf",
    "from",
    "Unmarshal",
    "from_slice",
    "from_str",
    "parseFrom",
    "of",
    "ofNullable",
    "isinstance",
    "int",
    "type",
    "isEmpty",
    "dumps",
    "stringify",
    "keys",
    "TopicPartition",
    "OffsetAndMetadata",
    "singletonMap",
    "partition",
    "topic",
    "offset",
    "range",
    "enumerate",
    "list",
    "iter",
    "items",
    "value",
    "key",
    "error",
    "partitions",
    "records",
    "count",
    "size",
    "from_utf8",
    "from_utf8_lossy",
    "unwrap",
    "expect",
    "ok",
    "headers",
    "contains",
    "equals",
    "Some",
    "Ok",
    "increment",
    "inc",
    "observe",
    "record",
    "hash",
    "min",
    "max",
    "requireNonNull",
    "Duration",
    "join",
    "map",
    "filter",
    "append",
    "decodeFromString",
];

/// Go's conversions and functions of the language itself.
const GO: &[&str] = &["string", "byte", "rune", "int32", "int64", "float64", "copy", "make", "new"];

impl<'t> File<'t> {
    /// What a call does by its name and what it is called on.
    pub(super) fn general(&self, call: &'t Call, scope: ScopeId) -> Option<EffectKind> {
        let method = call.method();
        if matches!(method, "acknowledge")
            && self.type_of_receiver(call, scope).is_some_and(|ty| ty.ends_with("Acknowledgment"))
        {
            return Some(EffectKind::Commit);
        }
        let script = matches!(self.language, "javascript" | "typescript");
        match method {
            "resolveOffset" if script => return Some(EffectKind::Mark),
            "commitOffsetsIfNecessary" if script => return Some(EffectKind::Commit),
            _ => {}
        }
        let candidates = KNOWN.iter().filter(|known| known.names.contains(&method));
        for known in candidates {
            if known.on.is_empty() || self.is_on(call, known.on, scope) {
                return Some(known.kind);
            }
        }
        None
    }

    fn is_on(&self, call: &'t Call, on: &[&str], scope: ScopeId) -> bool {
        let Some(receiver) = call.receiver() else { return on.contains(&"") };
        if let Some(ty) = self.type_of_receiver(call, scope) {
            let ty = ty.rsplit(['.', ':']).next().unwrap_or(ty);
            if on.contains(&ty) {
                return true;
            }
        }
        if self.made_path(receiver, scope).is_some_and(|path| path.split('.').any(|word| on.contains(&word)))
        {
            return true;
        }
        let made = receiver.as_call().filter(|call| call.new).and_then(|call| call.function.last_word());
        if made.is_some_and(|made| on.contains(&made)) {
            return true;
        }
        let path = receiver.path().unwrap_or_default();
        let first = path.split('.').next().unwrap_or_default();
        // `java.net.http.HttpClient.newHttpClient()`: the type stands behind its package.
        let ty = |word: &str| word.starts_with(char::is_uppercase) && on.contains(&word);
        if on.contains(&first) || path.split('.').any(ty) {
            return true;
        }
        let last = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        let lower = |wanted: &&&str| wanted.chars().all(|c| c.is_ascii_lowercase()) && !wanted.is_empty();
        on.iter().filter(lower).any(|wanted| word_of(&last, wanted))
    }

    /// The path of the call that makes a variable: `reqwest.Client.new`.
    fn made_path(&self, receiver: &'t Expr, scope: ScopeId) -> Option<String> {
        let def = self.only_def(receiver, scope)?;
        def.value?.as_call()?.function.path()
    }

    /// The type of what a call is called on, as it is declared or made.
    fn type_of_receiver(&self, call: &'t Call, scope: ScopeId) -> Option<&'t str> {
        let receiver = call.receiver()?;
        let (defs, _) = self.scopes.defs_of(receiver, scope)?;
        let def = defs.iter().find(|def| def.ty.is_some() || def.value.is_some())?;
        match (def.ty, def.value) {
            (Some(ty), _) if ty != "var" && ty != "val" => Some(ty),
            // `reqwest::Client::new()`: the crate says it.
            (_, Some(Expr { kind: ExprKind::Call(made), .. })) if made.method() == "new" => {
                made.receiver().and_then(root)
            }
            (_, Some(Expr { kind: ExprKind::Call(made), .. })) => made.function.last_word(),
            _ => None,
        }
    }

    /// A call that only writes a log.
    pub(super) fn is_log(&self, call: &Call) -> bool {
        let method = call.method().trim_end_matches('!');
        // Go's `t.Fatal` and `log.Fatal` end the test or the program with an error: no work on a record.
        if self.language == "go" && matches!(method, "Fatal" | "Fatalf") {
            return true;
        }
        if !LOG.contains(&method) {
            return false;
        }
        match call.receiver() {
            None => true,
            Some(_) if method == "printStackTrace" => true,
            Some(receiver) => {
                let path = receiver.path().unwrap_or_default().to_lowercase();
                path.split('.').any(|word| {
                    LOGGERS.iter().any(|logger| {
                        word == *logger
                            || word.ends_with(logger)
                            || word.ends_with("logger")
                            || word.starts_with("log")
                    })
                })
            }
        }
    }

    /// A call that only reads or converts what it is given.
    pub(super) fn is_pure(&self, call: &Call) -> bool {
        let built_in = self.language == "go" && call.receiver().is_none() && GO.contains(&call.method());
        call.new
            || built_in
            || PURE.contains(&call.method().trim_end_matches('!'))
            || call.method().starts_with(char::is_uppercase) && call.receiver().is_none()
    }
}

/// The first word of a path.
fn root(path: &Expr) -> Option<&str> {
    match &path.kind {
        ExprKind::Member { of, .. } => root(of),
        _ => path.as_name(),
    }
}

/// `wanted` is a word of a name, or its end: `orderRepository`, `order_queue`.
fn word_of(name: &str, wanted: &str) -> bool {
    name == wanted || name.ends_with(wanted) || name.split('_').any(|word| word == wanted)
}
