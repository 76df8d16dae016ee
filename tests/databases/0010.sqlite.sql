BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0010');
CREATE TABLE apis (
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	target INTEGER NOT NULL, 
	live INTEGER, 
	outcome TEXT NOT NULL, 
	message TEXT NOT NULL, 
	replicas INTEGER NOT NULL, 
	deleting BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, owner TEXT DEFAULT 'cli' NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "apis" VALUES('full','RealtimeAPI',3,2,1,'progressing','',2,0,'2026-11-01 12:00:01.123456','2026-11-01 12:00:05.123456','cli');
INSERT INTO "apis" VALUES('server','RealtimeAPI',2,1,1,'done','',1,0,'2026-11-01 12:00:01.123456','2026-11-01 12:00:01.123456','cli');
INSERT INTO "apis" VALUES('plain','RealtimeAPI',2,1,NULL,'failed','Revision 1 did not become ready: no.
Traceback',1,0,'2026-11-01 12:00:01.123456','2026-11-01 12:00:01.123456','cli');
INSERT INTO "apis" VALUES('gone','RealtimeAPI',2,1,NULL,'progressing','',1,1,'2026-11-01 12:00:06.123456','2026-11-01 12:00:07.123456','cli');
CREATE TABLE "events" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	api TEXT NOT NULL, 
	time DATETIME NOT NULL, 
	type TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	message TEXT NOT NULL, 
	replica TEXT, 
	occurrences INTEGER DEFAULT '1' NOT NULL, 
	first_time DATETIME, 
	FOREIGN KEY(api) REFERENCES apis (name) ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,'full','2026-11-01 12:00:08.123456','normal','Deployed','Revision 2 deployed',NULL,1,NULL);
CREATE TABLE file_chunks (
	content TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (content, number), 
	FOREIGN KEY(content) REFERENCES files (content) ON DELETE CASCADE
);
CREATE TABLE files (
	content TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	complete BOOLEAN NOT NULL, 
	used_at DOUBLE NOT NULL, 
	PRIMARY KEY (content)
);
CREATE TABLE leadership (
	leader TEXT NOT NULL, 
	PRIMARY KEY (leader)
);
CREATE TABLE log_segments (
	id INTEGER NOT NULL, 
	api TEXT NOT NULL, 
	replica TEXT NOT NULL, 
	source TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	first DOUBLE NOT NULL, 
	last DOUBLE NOT NULL, 
	size INTEGER NOT NULL, 
	lines TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE nodes_record (
	id INTEGER NOT NULL, 
	document BLOB NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE packages (
	digest TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	uploaded_at DATETIME NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "packages" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',123,'2026-11-01 12:00:00.123456');
CREATE TABLE revisions (
	api TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	spec TEXT NOT NULL, 
	path TEXT NOT NULL, 
	package TEXT, 
	created_at DATETIME NOT NULL, spec_version INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (api, number), 
	FOREIGN KEY(api) REFERENCES apis (name) ON DELETE CASCADE, 
	FOREIGN KEY(package) REFERENCES packages (digest)
);
INSERT INTO "revisions" VALUES('full',1,'081f2b9f6a7bd9d47072c60c01a0ab42e48bce694aa393be9297f2f7c9e97a01','{"name": "full", "kind": "RealtimeAPI", "handler": {"path": "model/handler.py", "config": {"threshold": 0.5, "deep": [1, 2.5, null, {"x": "\u00fc"}], "on": true}, "requirements": "requirements.txt", "models": null, "resolved_models": null, "batching": {"max_size": 8, "max_wait": "20ms"}, "processes": 2, "warm_start": "module", "image": null}, "process": null, "pod": null, "max_concurrency": 40, "max_queue_length": 7, "timeout": "1h", "max_hold": "12s", "max_body": "32Mi", "idempotent": true, "compute": {"cpu": 0.25, "mem": "1536Mi", "gpu": 1}, "env": {"KEY": "v\u00e4rde \ud83d\ude42", "EMPTY": ""}, "autoscaling": {"min_replicas": 1, "max_replicas": 9, "init_replicas": 2, "target_in_flight": 3.5, "window": "30s", "upscale_stabilization_period": "10s", "downscale_stabilization_period": "2m", "max_upscale_factor": 2.0, "max_downscale_factor": 0.5, "upscale_tolerance": 0.1, "downscale_tolerance": 0.2, "panic_window": "3s", "panic_threshold": null, "forecast": false, "schedule": [{"cron": "0 8 * * mon-fri", "min_replicas": 5, "time_zone": "Europe/Berlin"}]}, "update_strategy": {"max_surge": 1, "max_unavailable": "50%"}, "networking": {"endpoint": "models/full", "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}','/models/full','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-01 12:00:01.123456',2);
INSERT INTO "revisions" VALUES('server',1,'de5e7e93d004e6c00347061f891238c2216315c41b2abd1d083a049fcd0a66a0','{"name": "server", "kind": "RealtimeAPI", "handler": null, "process": {"command": ["serve", "--port", "$PORT"], "ready": {"path": "/health"}, "protocol": "http2", "requirements": "requirements.txt", "image": null}, "pod": null, "max_concurrency": null, "max_queue_length": 100, "timeout": "1m", "max_hold": null, "max_body": "32Mi", "idempotent": false, "compute": {"cpu": 0.2, "mem": null, "gpu": 0}, "env": {}, "autoscaling": {"min_replicas": 1, "max_replicas": 100, "init_replicas": null, "target_in_flight": null, "window": "1m", "upscale_stabilization_period": "1m", "downscale_stabilization_period": "5m", "max_upscale_factor": 1.5, "max_downscale_factor": 0.75, "upscale_tolerance": 0.05, "downscale_tolerance": 0.05, "panic_window": "6s", "panic_threshold": 2.0, "forecast": true, "schedule": []}, "update_strategy": {"max_surge": "25%", "max_unavailable": "25%"}, "networking": {"endpoint": null, "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}','/server','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-01 12:00:01.123456',2);
INSERT INTO "revisions" VALUES('plain',1,'4400ffefa44af1ee8daaaa904c81e3c244108b00e410dc570a9edfacd844907b','{"name": "plain", "kind": "RealtimeAPI", "handler": {"path": "handler.py", "config": {}, "requirements": null, "models": null, "resolved_models": null, "batching": null, "processes": 1, "warm_start": null, "image": null}, "process": null, "pod": null, "max_concurrency": 1, "max_queue_length": 100, "timeout": "1m", "max_hold": null, "max_body": "32Mi", "idempotent": false, "compute": {"cpu": 0.2, "mem": null, "gpu": 0}, "env": {}, "autoscaling": {"min_replicas": 1, "max_replicas": 100, "init_replicas": null, "target_in_flight": null, "window": "1m", "upscale_stabilization_period": "1m", "downscale_stabilization_period": "5m", "max_upscale_factor": 1.5, "max_downscale_factor": 0.75, "upscale_tolerance": 0.05, "downscale_tolerance": 0.05, "panic_window": "6s", "panic_threshold": 2.0, "forecast": true, "schedule": []}, "update_strategy": {"max_surge": "25%", "max_unavailable": "25%"}, "networking": {"endpoint": null, "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}','/plain','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-01 12:00:01.123456',2);
INSERT INTO "revisions" VALUES('full',2,'f0c33f3f1f99ffbbdcf2357fb6f0a48397f544e1ac7e16d14014f5da455ba5ba','{"name": "full", "kind": "RealtimeAPI", "handler": {"path": "model/handler.py", "config": {"threshold": 0.5, "deep": [1, 2.5, null, {"x": "\u00fc"}], "on": true}, "requirements": "requirements.txt", "models": null, "resolved_models": null, "batching": {"max_size": 8, "max_wait": "20ms"}, "processes": 2, "warm_start": "module", "image": null}, "process": null, "pod": null, "max_concurrency": 40, "max_queue_length": 7, "timeout": "90m", "max_hold": "12s", "max_body": "32Mi", "idempotent": true, "compute": {"cpu": 0.25, "mem": "1536Mi", "gpu": 1}, "env": {"KEY": "v\u00e4rde \ud83d\ude42", "EMPTY": ""}, "autoscaling": {"min_replicas": 1, "max_replicas": 9, "init_replicas": 2, "target_in_flight": 3.5, "window": "30s", "upscale_stabilization_period": "10s", "downscale_stabilization_period": "2m", "max_upscale_factor": 2.0, "max_downscale_factor": 0.5, "upscale_tolerance": 0.1, "downscale_tolerance": 0.2, "panic_window": "3s", "panic_threshold": null, "forecast": false, "schedule": [{"cron": "0 8 * * mon-fri", "min_replicas": 5, "time_zone": "Europe/Berlin"}]}, "update_strategy": {"max_surge": 1, "max_unavailable": "50%"}, "networking": {"endpoint": "models/full", "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}','/models/full','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-01 12:00:05.123456',2);
INSERT INTO "revisions" VALUES('gone',1,'e2223290296d4e86cc5e2601a7efe6c1caeea6546a526d54641cfedd0d1f7227','{"name": "gone", "kind": "RealtimeAPI", "handler": null, "process": {"command": ["serve"], "ready": null, "protocol": "http1", "requirements": null, "image": null}, "pod": null, "max_concurrency": null, "max_queue_length": 100, "timeout": "1m", "max_hold": null, "max_body": "32Mi", "idempotent": false, "compute": {"cpu": 0.2, "mem": null, "gpu": 0}, "env": {}, "autoscaling": {"min_replicas": 1, "max_replicas": 100, "init_replicas": null, "target_in_flight": null, "window": "1m", "upscale_stabilization_period": "1m", "downscale_stabilization_period": "5m", "max_upscale_factor": 1.5, "max_downscale_factor": 0.75, "upscale_tolerance": 0.05, "downscale_tolerance": 0.05, "panic_window": "6s", "panic_threshold": 2.0, "forecast": true, "schedule": []}, "update_strategy": {"max_surge": "25%", "max_unavailable": "25%"}, "networking": {"endpoint": null, "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}','/gone',NULL,'2026-11-01 12:00:06.123456',2);
CREATE TABLE rollouts (
	api TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	cause TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	message TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, started_by TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (api, number), 
	FOREIGN KEY(api, revision) REFERENCES revisions (api, number) ON DELETE CASCADE
);
INSERT INTO "rollouts" VALUES('full',1,1,'deploy','done','','2026-11-01 12:00:01.123456','2026-11-01 12:00:02.123456','');
INSERT INTO "rollouts" VALUES('server',1,1,'deploy','done','','2026-11-01 12:00:01.123456','2026-11-01 12:00:03.123456','');
INSERT INTO "rollouts" VALUES('plain',1,1,'deploy','failed','Revision 1 did not become ready: no.
Traceback','2026-11-01 12:00:01.123456','2026-11-01 12:00:04.123456','');
INSERT INTO "rollouts" VALUES('full',2,2,'deploy','progressing','','2026-11-01 12:00:05.123456',NULL,'');
INSERT INTO "rollouts" VALUES('gone',1,1,'deploy','progressing','','2026-11-01 12:00:06.123456',NULL,'');
CREATE TABLE scaling_memories (
	api TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	document BLOB NOT NULL, 
	saved_at DATETIME NOT NULL, 
	PRIMARY KEY (api), 
	FOREIGN KEY(api) REFERENCES apis (name) ON DELETE CASCADE
);
CREATE TABLE starts (
	id INTEGER NOT NULL, 
	api TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	seconds DOUBLE NOT NULL, 
	time DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(api, revision) REFERENCES revisions (api, number) ON DELETE CASCADE
);
CREATE TABLE tokens (
	digest TEXT NOT NULL, 
	name TEXT NOT NULL, 
	read_only BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	created_by TEXT NOT NULL, 
	revoked_at DATETIME, 
	PRIMARY KEY (digest)
);
CREATE INDEX revisions_package ON revisions (package);
CREATE INDEX starts_revision ON starts (api, revision, kind, id);
CREATE INDEX events_api ON events (api, id);
CREATE INDEX files_name ON files (name);
CREATE INDEX log_segments_api ON log_segments (api, last);
CREATE INDEX log_segments_source ON log_segments (replica, source, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',1);
COMMIT;
