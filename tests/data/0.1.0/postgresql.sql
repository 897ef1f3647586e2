CREATE TABLE freerun_schema (
    id INTEGER NOT NULL CHECK (id = 1),
    version INTEGER NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE freerun_studies (
    study_id INTEGER NOT NULL,
    name VARCHAR(512) NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    definition TEXT NOT NULL,
    definition_hash VARCHAR(128) NOT NULL,
    data BYTEA,
    data_hash VARCHAR(128),
    data_description TEXT,
    artifact_bytes_per_trial BIGINT NOT NULL,
    artifact_bytes_per_study BIGINT NOT NULL,
    PRIMARY KEY (study_id),
    FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);

CREATE TABLE freerun_artifacts (
    artifact_id VARCHAR(255) NOT NULL,
    study_id INTEGER,
    trial_id INTEGER,
    filename TEXT,
    content BYTEA NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (artifact_id),
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE,
    FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE
);

CREATE INDEX freerun_artifacts_of_trial ON freerun_artifacts (trial_id);

CREATE TABLE freerun_budgets (
    study_id INTEGER NOT NULL,
    trials INTEGER,
    minutes DOUBLE PRECISION,
    spent_seconds DOUBLE PRECISION NOT NULL,
    counted_until DOUBLE PRECISION,
    grace_until DOUBLE PRECISION NOT NULL,
    stop_requested BOOLEAN NOT NULL,
    artifact_bytes BIGINT NOT NULL,
    PRIMARY KEY (study_id),
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE
);

CREATE TABLE freerun_curves (
    trial_id INTEGER NOT NULL,
    study_id INTEGER NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (trial_id),
    FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE,
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE
);

CREATE INDEX freerun_curves_of_study ON freerun_curves (study_id);

CREATE TABLE freerun_quotas (
    study_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    trials INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (study_id, name),
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE
);

CREATE TABLE freerun_replicas (
    trial_id INTEGER NOT NULL,
    replica INTEGER NOT NULL,
    study_id INTEGER NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    training_loss DOUBLE PRECISION,
    restart INTEGER NOT NULL,
    PRIMARY KEY (trial_id, replica),
    FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE,
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE
);

CREATE INDEX freerun_replicas_of_study ON freerun_replicas (study_id);

CREATE TABLE freerun_workers (
    worker_id SERIAL NOT NULL,
    study_id INTEGER NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    machine TEXT NOT NULL,
    registered DOUBLE PRECISION NOT NULL,
    last_beat DOUBLE PRECISION NOT NULL,
    left_at DOUBLE PRECISION,
    PRIMARY KEY (worker_id),
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE
);

CREATE INDEX freerun_workers_of_study ON freerun_workers (study_id);

CREATE TABLE freerun_finals (
    job_id SERIAL NOT NULL,
    study_id INTEGER NOT NULL,
    purpose VARCHAR(32) NOT NULL,
    trial_id INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL,
    worker_id INTEGER,
    claim VARCHAR(36),
    result TEXT,
    weights BYTEA,
    message TEXT,
    PRIMARY KEY (job_id),
    UNIQUE (study_id, purpose, trial_id),
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE,
    FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE,
    FOREIGN KEY(worker_id) REFERENCES freerun_workers (worker_id) ON DELETE SET NULL
);

CREATE TABLE freerun_leases (
    trial_id INTEGER NOT NULL,
    study_id INTEGER NOT NULL,
    worker_id INTEGER NOT NULL,
    claim VARCHAR(36) NOT NULL,
    PRIMARY KEY (trial_id),
    FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE,
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE,
    FOREIGN KEY(worker_id) REFERENCES freerun_workers (worker_id) ON DELETE CASCADE
);

CREATE INDEX freerun_leases_of_study ON freerun_leases (study_id);

CREATE INDEX freerun_leases_of_worker ON freerun_leases (worker_id);

CREATE TABLE freerun_trials (
    trial_id INTEGER NOT NULL,
    study_id INTEGER NOT NULL,
    cohort_key TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    worker_id INTEGER,
    PRIMARY KEY (trial_id),
    FOREIGN KEY(trial_id) REFERENCES trials (trial_id) ON DELETE CASCADE,
    FOREIGN KEY(study_id) REFERENCES freerun_studies (study_id) ON DELETE CASCADE,
    FOREIGN KEY(worker_id) REFERENCES freerun_workers (worker_id) ON DELETE SET NULL
);

CREATE INDEX freerun_trials_of_study ON freerun_trials (study_id);

