/* The text of the layout, version by version.
 *
 * seq is the position of a row: it rises with creation and is never used again (AUTOINCREMENT where rows can be deleted), so
 * that lists and cursors can go by it. Times are wall-clock milliseconds, 0 is never; created_at rises with seq, but for the places
 * that clock_back names. Lists of ids are texts separated by single spaces. Enumerations are kept by their wire names, so that a person can read them. */
#include "store/schema.h"

#define UNFINISHED_STATUS "('SUBMITTED', 'BLOCKED', 'PENDING', 'RUNNING')"

static const char VERSION_1[] =
    "CREATE TABLE meta ("
    "  name TEXT PRIMARY KEY,"
    "  value ANY NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO meta (name, value) VALUES ('attempt', 0), ('probe', 0);"

    /* the table's last row before the clock was set back: created_at rises up to it and anew behind it */
    "CREATE TABLE clock_back ("
    "  name TEXT NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  PRIMARY KEY (name, seq)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE task ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  config_id TEXT NOT NULL,"
    "  owner_id TEXT,"
    "  version TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  revision INTEGER NOT NULL,"
    "  function_module TEXT NOT NULL,"
    "  function_name TEXT NOT NULL,"
    "  parent_ids TEXT NOT NULL,"
    "  input_ids TEXT NOT NULL,"
    "  output_ids TEXT NOT NULL,"
    "  skippable INTEGER NOT NULL CHECK (skippable IN (0, 1)),"
    "  created_by TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX task_config ON task (config_id);"

    "CREATE TABLE data_node ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  config_id TEXT NOT NULL,"
    "  owner_id TEXT,"
    "  version TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  revision INTEGER NOT NULL,"
    "  name TEXT,"
    "  scope TEXT NOT NULL CHECK (scope IN ('SCENARIO', 'CYCLE', 'GLOBAL')),"
    "  storage_type TEXT NOT NULL,"
    "  last_edit INTEGER NOT NULL,"
    "  validity_period INTEGER NOT NULL,"
    "  file TEXT,"
    "  path TEXT,"
    "  properties TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX data_node_config ON data_node (config_id);"
    /* one shared data node a configuration and version, whatever happens */
    "CREATE UNIQUE INDEX data_node_shared ON data_node (config_id, version)"
    "  WHERE owner_id IS NULL AND scope <> 'SCENARIO';"
    "CREATE INDEX data_node_file ON data_node (file) WHERE file IS NOT NULL;"

    /* which tasks use a data node: its parents */
    "CREATE TABLE task_data_node ("
    "  task_seq INTEGER NOT NULL REFERENCES task (seq) ON DELETE CASCADE,"
    "  data_node_seq INTEGER NOT NULL REFERENCES data_node (seq) ON DELETE CASCADE,"
    "  PRIMARY KEY (task_seq, data_node_seq)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX task_data_node_parents ON task_data_node (data_node_seq, task_seq);"

    "CREATE TABLE submission ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  entity_id TEXT NOT NULL,"
    "  entity_type TEXT NOT NULL,"
    "  entity_config_id TEXT NOT NULL,"
    "  version TEXT NOT NULL,"
    "  submitted_by TEXT NOT NULL,"
    "  status TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL"
    ") STRICT;"

    /* a job outlives its task: no reference */
    "CREATE TABLE job ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  task_config_id TEXT NOT NULL,"
    "  owner_id TEXT,"
    "  version TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  task_id TEXT NOT NULL,"
    "  status TEXT NOT NULL CHECK (status IN ('SUBMITTED', 'BLOCKED', 'PENDING', 'RUNNING', 'CANCELED', 'FAILED',"
    "    'COMPLETED', 'SKIPPED', 'ABANDONED')),"
    "  revision INTEGER NOT NULL,"
    "  submission_id TEXT NOT NULL REFERENCES submission (id),"
    "  force INTEGER NOT NULL CHECK (force IN (0, 1)),"
    "  cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),"
    "  attempt INTEGER NOT NULL DEFAULT 0,"
    "  exit_code INTEGER,"
    "  signal INTEGER,"
    "  started_at INTEGER NOT NULL DEFAULT 0,"
    "  ended_at INTEGER NOT NULL DEFAULT 0,"
    "  worker TEXT,"
    "  progress TEXT,"
    "  submitted_by TEXT NOT NULL,"
    "  error TEXT,"
    "  stacktrace TEXT"
    ") STRICT;"
    "CREATE INDEX job_config ON job (task_config_id);"
    "CREATE INDEX job_task ON job (task_id);"
    "CREATE INDEX job_submission ON job (submission_id);"
    "CREATE INDEX job_unfinished ON job (status) WHERE status IN " UNFINISHED_STATUS ";"
    "CREATE INDEX job_unfinished_task ON job (task_id) WHERE status IN " UNFINISHED_STATUS ";"

    /* the job will write the data node */
    "CREATE TABLE data_node_lock ("
    "  data_node_seq INTEGER NOT NULL REFERENCES data_node (seq),"
    "  job_seq INTEGER NOT NULL REFERENCES job (seq),"
    "  PRIMARY KEY (data_node_seq, job_seq)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX data_node_lock_job ON data_node_lock (job_seq);"

    /* the inputs of a job while it is BLOCKED */
    "CREATE TABLE job_wait ("
    "  data_node_seq INTEGER NOT NULL REFERENCES data_node (seq),"
    "  job_seq INTEGER NOT NULL REFERENCES job (seq),"
    "  PRIMARY KEY (data_node_seq, job_seq)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX job_wait_job ON job_wait (job_seq);"

    /* a result that is committed but not yet at the path of the user's own */
    "CREATE TABLE publish_intent ("
    "  seq INTEGER PRIMARY KEY,"
    "  data_node_seq INTEGER NOT NULL REFERENCES data_node (seq),"
    "  job_seq INTEGER NOT NULL REFERENCES job (seq),"
    "  file TEXT NOT NULL,"
    "  UNIQUE (data_node_seq, job_seq)"
    ") STRICT;"

    /* in the order of audit.h; seq has no gaps */
    "CREATE TABLE audit ("
    "  seq INTEGER PRIMARY KEY,"
    "  time INTEGER NOT NULL,"
    "  outcome TEXT NOT NULL,"
    "  action TEXT, target TEXT, issuer TEXT, subject TEXT, token_id TEXT, roles TEXT, address TEXT, request_id TEXT,"
    "  client_request_id TEXT, method TEXT, path TEXT, permission TEXT, decision_id TEXT, reason TEXT, detail TEXT,"
    "  status INTEGER NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  previous BLOB NOT NULL,"
    "  hash BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE idempotency ("
    "  seq INTEGER PRIMARY KEY,"
    "  key BLOB NOT NULL UNIQUE,"
    "  request BLOB NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  headers TEXT,"
    "  body BLOB NOT NULL"
    ") STRICT;";

/* what is revoked once is revoked in one row */
static const char VERSION_2[] =
    "CREATE TABLE revocation ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  issuer TEXT,"
    "  token_id TEXT,"
    "  subject TEXT,"
    "  issued_before INTEGER NOT NULL," /* seconds, as in tokens; 0: whenever they were issued */
    "  created_at INTEGER NOT NULL,"
    "  created_by TEXT NOT NULL,"
    "  reason TEXT,"
    "  CHECK (issuer IS NOT NULL OR (token_id IS NULL AND subject IS NULL AND issued_before > 0)),"
    "  CHECK (token_id IS NULL OR subject IS NULL)"
    ") STRICT;"
    "CREATE UNIQUE INDEX revocation_what ON revocation (coalesce(issuer, ''), coalesce(token_id, ''),"
    "  coalesce(subject, ''));";

/* submissions are listed, too: where their times went back was not written down before */
static const char VERSION_3[] =
    "INSERT OR IGNORE INTO clock_back (name, seq) SELECT 'submission', seq FROM (SELECT seq, created_at,"
    "  lead(created_at) OVER (ORDER BY seq) AS next FROM submission) WHERE next < created_at;";

/* how many unfinished jobs each subject has; jobs of before are nobody's issuer's */
static const char VERSION_4[] =
    "ALTER TABLE job ADD COLUMN issuer TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE subject_load ("
    "  issuer TEXT NOT NULL,"
    "  subject TEXT NOT NULL,"
    "  unfinished INTEGER NOT NULL CHECK (unfinished >= 0),"
    "  PRIMARY KEY (issuer, subject)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO subject_load (issuer, subject, unfinished)"
    "  SELECT '', submitted_by, count(*) FROM job WHERE status IN " UNFINISHED_STATUS " GROUP BY submitted_by;";

/* A transition of a job changes no more than it must: whether it has ended is told by one number (a list of statuses in the
 * condition of an index is a temporary table for each row changed), and its submission's status is not kept twice. */
static const char VERSION_5[] =
    "UPDATE job SET ended_at = max(started_at, created_at) WHERE ended_at = 0 AND status NOT IN " UNFINISHED_STATUS ";"
    "UPDATE job SET ended_at = 0 WHERE ended_at <> 0 AND status IN " UNFINISHED_STATUS ";"
    "DROP INDEX job_unfinished;"
    "DROP INDEX job_unfinished_task;"
    "CREATE INDEX job_unfinished ON job (status) WHERE ended_at = 0;"
    "CREATE INDEX job_unfinished_task ON job (task_id) WHERE ended_at = 0;"
    "ALTER TABLE submission DROP COLUMN status;";

/* the client certificate of who did it: SHA-256 in hex, and name */
static const char VERSION_6[] = "ALTER TABLE audit ADD COLUMN certificate TEXT;"
                                "ALTER TABLE audit ADD COLUMN certificate_subject TEXT;";

/* how a job is run, as it was when it was submitted; and whether anything starts at all */
static const char VERSION_7[] =
    "ALTER TABLE job ADD COLUMN submitter BLOB;"  /* digest of issuer and subject */
    "ALTER TABLE job ADD COLUMN timeout INTEGER;" /* milliseconds; 0: none; NULL: as its configuration says */
    "ALTER TABLE job ADD COLUMN controls TEXT;"   /* JSON: retries, lost_jobs; NULL: none */
    "ALTER TABLE job ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN retry_at INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN retry_delay INTEGER NOT NULL DEFAULT 0;"

    "CREATE TABLE queue ("
    "  seq INTEGER PRIMARY KEY CHECK (seq = 1),"
    "  paused INTEGER NOT NULL CHECK (paused IN (0, 1)),"
    "  changed_at INTEGER NOT NULL,"
    "  changed_by TEXT,"
    "  reason TEXT"
    ") STRICT;"
    "INSERT INTO queue (seq, paused, changed_at) VALUES (1, 0, 0);";

/* files of the users' own that are not there yet: somebody has to look for them */
static const char VERSION_8[] =
    "CREATE INDEX data_node_expected ON data_node (seq) WHERE last_edit = 0 AND path IS NOT NULL;";

/* what became of jobs, in the order of the commits; the newest row stays, so that seq is never used again. Narrow: a job has several */
static const char VERSION_9[] = "CREATE TABLE event ("
                                "  seq INTEGER PRIMARY KEY,"
                                "  job_seq INTEGER NOT NULL,"
                                "  time INTEGER NOT NULL,"
                                "  status TEXT NOT NULL,"
                                "  attempt INTEGER NOT NULL,"
                                "  cancel_requested INTEGER NOT NULL"
                                ") STRICT;"
                                "CREATE INDEX event_job ON event (job_seq);";

/* The statuses again, compared one by one: a list of them is a temporary table for each row changed here, too. */
static const char VERSION_10[] =
    "DROP INDEX job_unfinished;"
    "ALTER TABLE job ADD COLUMN state TEXT NOT NULL DEFAULT 'SUBMITTED' CHECK (state = 'SUBMITTED' OR state = 'BLOCKED'"
    "  OR state = 'PENDING' OR state = 'RUNNING' OR state = 'CANCELED' OR state = 'FAILED' OR state = 'COMPLETED'"
    "  OR state = 'SKIPPED' OR state = 'ABANDONED');"
    "UPDATE job SET state = status;"
    "ALTER TABLE job DROP COLUMN status;"
    "ALTER TABLE job RENAME COLUMN state TO status;"
    "CREATE INDEX job_unfinished ON job (status) WHERE ended_at = 0;";

static const char *const VERSIONS[] = {VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5,
                                       VERSION_6, VERSION_7, VERSION_8, VERSION_9, VERSION_10};

const struct migrations SCHEMA = {VERSIONS, ARRAY_LEN(VERSIONS)};
