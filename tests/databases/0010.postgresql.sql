CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.apis (
    name text NOT NULL,
    kind text NOT NULL,
    version bigint NOT NULL,
    target integer NOT NULL,
    live integer,
    outcome text NOT NULL,
    message text NOT NULL,
    replicas integer NOT NULL,
    deleting boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    owner text DEFAULT 'cli'::text NOT NULL
);
CREATE TABLE public.events (
    id bigint NOT NULL,
    api text NOT NULL,
    "time" timestamp with time zone NOT NULL,
    type text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    replica text,
    occurrences integer DEFAULT 1 NOT NULL,
    first_time timestamp with time zone
);
CREATE SEQUENCE public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;
CREATE TABLE public.file_chunks (
    content text NOT NULL,
    number integer NOT NULL,
    data bytea NOT NULL
);
ALTER TABLE ONLY public.file_chunks ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE public.files (
    content text NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    size bigint NOT NULL,
    complete boolean NOT NULL,
    used_at double precision NOT NULL
);
CREATE TABLE public.leadership (
    leader text NOT NULL
);
CREATE TABLE public.log_segments (
    id bigint NOT NULL,
    api text NOT NULL,
    replica text NOT NULL,
    source text NOT NULL,
    number bigint NOT NULL,
    first double precision NOT NULL,
    last double precision NOT NULL,
    size integer NOT NULL,
    lines text NOT NULL
);
CREATE SEQUENCE public.log_segments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.log_segments_id_seq OWNED BY public.log_segments.id;
CREATE TABLE public.nodes_record (
    id integer NOT NULL,
    document bytea NOT NULL
);
CREATE TABLE public.packages (
    digest text NOT NULL,
    size bigint NOT NULL,
    uploaded_at timestamp with time zone NOT NULL
);
CREATE TABLE public.revisions (
    api text NOT NULL,
    number integer NOT NULL,
    digest text NOT NULL,
    spec text NOT NULL,
    path text NOT NULL,
    package text,
    created_at timestamp with time zone NOT NULL,
    spec_version integer DEFAULT 1 NOT NULL
);
CREATE TABLE public.rollouts (
    api text NOT NULL,
    number integer NOT NULL,
    revision integer NOT NULL,
    cause text NOT NULL,
    outcome text NOT NULL,
    message text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    started_by text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.scaling_memories (
    api text NOT NULL,
    version integer NOT NULL,
    document bytea NOT NULL,
    saved_at timestamp with time zone NOT NULL
);
CREATE TABLE public.starts (
    id bigint NOT NULL,
    api text NOT NULL,
    revision integer NOT NULL,
    kind text NOT NULL,
    seconds double precision NOT NULL,
    "time" timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.starts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.starts_id_seq OWNED BY public.starts.id;
CREATE TABLE public.tokens (
    digest text NOT NULL,
    name text NOT NULL,
    read_only boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    revoked_at timestamp with time zone
);
ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);
ALTER TABLE ONLY public.log_segments ALTER COLUMN id SET DEFAULT nextval('public.log_segments_id_seq'::regclass);
ALTER TABLE ONLY public.starts ALTER COLUMN id SET DEFAULT nextval('public.starts_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0010');
INSERT INTO public.apis VALUES ('server', 'RealtimeAPI', 2, 1, 1, 'done', '', 1, false, '2026-11-01 12:00:01.123456+00', '2026-11-01 12:00:01.123456+00', 'cli');
INSERT INTO public.apis VALUES ('plain', 'RealtimeAPI', 2, 1, NULL, 'failed', 'Revision 1 did not become ready: no.
Traceback', 1, false, '2026-11-01 12:00:01.123456+00', '2026-11-01 12:00:01.123456+00', 'cli');
INSERT INTO public.apis VALUES ('full', 'RealtimeAPI', 3, 2, 1, 'progressing', '', 2, false, '2026-11-01 12:00:01.123456+00', '2026-11-01 12:00:05.123456+00', 'cli');
INSERT INTO public.apis VALUES ('gone', 'RealtimeAPI', 2, 1, NULL, 'progressing', '', 1, true, '2026-11-01 12:00:06.123456+00', '2026-11-01 12:00:07.123456+00', 'cli');
INSERT INTO public.events VALUES (1, 'full', '2026-11-01 12:00:08.123456+00', 'normal', 'Deployed', 'Revision 2 deployed', NULL, 1, NULL);
INSERT INTO public.packages VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 123, '2026-11-01 12:00:00.123456+00');
INSERT INTO public.revisions VALUES ('full', 1, '081f2b9f6a7bd9d47072c60c01a0ab42e48bce694aa393be9297f2f7c9e97a01', '{"name": "full", "kind": "RealtimeAPI", "handler": {"path": "model/handler.py", "config": {"threshold": 0.5, "deep": [1, 2.5, null, {"x": "\u00fc"}], "on": true}, "requirements": "requirements.txt", "models": null, "resolved_models": null, "batching": {"max_size": 8, "max_wait": "20ms"}, "processes": 2, "warm_start": "module", "image": null}, "process": null, "pod": null, "max_concurrency": 40, "max_queue_length": 7, "timeout": "1h", "max_hold": "12s", "max_body": "32Mi", "idempotent": true, "compute": {"cpu": 0.25, "mem": "1536Mi", "gpu": 1}, "env": {"KEY": "v\u00e4rde \ud83d\ude42", "EMPTY": ""}, "autoscaling": {"min_replicas": 1, "max_replicas": 9, "init_replicas": 2, "target_in_flight": 3.5, "window": "30s", "upscale_stabilization_period": "10s", "downscale_stabilization_period": "2m", "max_upscale_factor": 2.0, "max_downscale_factor": 0.5, "upscale_tolerance": 0.1, "downscale_tolerance": 0.2, "panic_window": "3s", "panic_threshold": null, "forecast": false, "schedule": [{"cron": "0 8 * * mon-fri", "min_replicas": 5, "time_zone": "Europe/Berlin"}]}, "update_strategy": {"max_surge": 1, "max_unavailable": "50%"}, "networking": {"endpoint": "models/full", "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}', '/models/full', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '2026-11-01 12:00:01.123456+00', 2);
INSERT INTO public.revisions VALUES ('server', 1, 'de5e7e93d004e6c00347061f891238c2216315c41b2abd1d083a049fcd0a66a0', '{"name": "server", "kind": "RealtimeAPI", "handler": null, "process": {"command": ["serve", "--port", "$PORT"], "ready": {"path": "/health"}, "protocol": "http2", "requirements": "requirements.txt", "image": null}, "pod": null, "max_concurrency": null, "max_queue_length": 100, "timeout": "1m", "max_hold": null, "max_body": "32Mi", "idempotent": false, "compute": {"cpu": 0.2, "mem": null, "gpu": 0}, "env": {}, "autoscaling": {"min_replicas": 1, "max_replicas": 100, "init_replicas": null, "target_in_flight": null, "window": "1m", "upscale_stabilization_period": "1m", "downscale_stabilization_period": "5m", "max_upscale_factor": 1.5, "max_downscale_factor": 0.75, "upscale_tolerance": 0.05, "downscale_tolerance": 0.05, "panic_window": "6s", "panic_threshold": 2.0, "forecast": true, "schedule": []}, "update_strategy": {"max_surge": "25%", "max_unavailable": "25%"}, "networking": {"endpoint": null, "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}', '/server', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '2026-11-01 12:00:01.123456+00', 2);
INSERT INTO public.revisions VALUES ('plain', 1, '4400ffefa44af1ee8daaaa904c81e3c244108b00e410dc570a9edfacd844907b', '{"name": "plain", "kind": "RealtimeAPI", "handler": {"path": "handler.py", "config": {}, "requirements": null, "models": null, "resolved_models": null, "batching": null, "processes": 1, "warm_start": null, "image": null}, "process": null, "pod": null, "max_concurrency": 1, "max_queue_length": 100, "timeout": "1m", "max_hold": null, "max_body": "32Mi", "idempotent": false, "compute": {"cpu": 0.2, "mem": null, "gpu": 0}, "env": {}, "autoscaling": {"min_replicas": 1, "max_replicas": 100, "init_replicas": null, "target_in_flight": null, "window": "1m", "upscale_stabilization_period": "1m", "downscale_stabilization_period": "5m", "max_upscale_factor": 1.5, "max_downscale_factor": 0.75, "upscale_tolerance": 0.05, "downscale_tolerance": 0.05, "panic_window": "6s", "panic_threshold": 2.0, "forecast": true, "schedule": []}, "update_strategy": {"max_surge": "25%", "max_unavailable": "25%"}, "networking": {"endpoint": null, "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}', '/plain', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '2026-11-01 12:00:01.123456+00', 2);
INSERT INTO public.revisions VALUES ('full', 2, 'f0c33f3f1f99ffbbdcf2357fb6f0a48397f544e1ac7e16d14014f5da455ba5ba', '{"name": "full", "kind": "RealtimeAPI", "handler": {"path": "model/handler.py", "config": {"threshold": 0.5, "deep": [1, 2.5, null, {"x": "\u00fc"}], "on": true}, "requirements": "requirements.txt", "models": null, "resolved_models": null, "batching": {"max_size": 8, "max_wait": "20ms"}, "processes": 2, "warm_start": "module", "image": null}, "process": null, "pod": null, "max_concurrency": 40, "max_queue_length": 7, "timeout": "90m", "max_hold": "12s", "max_body": "32Mi", "idempotent": true, "compute": {"cpu": 0.25, "mem": "1536Mi", "gpu": 1}, "env": {"KEY": "v\u00e4rde \ud83d\ude42", "EMPTY": ""}, "autoscaling": {"min_replicas": 1, "max_replicas": 9, "init_replicas": 2, "target_in_flight": 3.5, "window": "30s", "upscale_stabilization_period": "10s", "downscale_stabilization_period": "2m", "max_upscale_factor": 2.0, "max_downscale_factor": 0.5, "upscale_tolerance": 0.1, "downscale_tolerance": 0.2, "panic_window": "3s", "panic_threshold": null, "forecast": false, "schedule": [{"cron": "0 8 * * mon-fri", "min_replicas": 5, "time_zone": "Europe/Berlin"}]}, "update_strategy": {"max_surge": 1, "max_unavailable": "50%"}, "networking": {"endpoint": "models/full", "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}', '/models/full', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '2026-11-01 12:00:05.123456+00', 2);
INSERT INTO public.revisions VALUES ('gone', 1, 'e2223290296d4e86cc5e2601a7efe6c1caeea6546a526d54641cfedd0d1f7227', '{"name": "gone", "kind": "RealtimeAPI", "handler": null, "process": {"command": ["serve"], "ready": null, "protocol": "http1", "requirements": null, "image": null}, "pod": null, "max_concurrency": null, "max_queue_length": 100, "timeout": "1m", "max_hold": null, "max_body": "32Mi", "idempotent": false, "compute": {"cpu": 0.2, "mem": null, "gpu": 0}, "env": {}, "autoscaling": {"min_replicas": 1, "max_replicas": 100, "init_replicas": null, "target_in_flight": null, "window": "1m", "upscale_stabilization_period": "1m", "downscale_stabilization_period": "5m", "max_upscale_factor": 1.5, "max_downscale_factor": 0.75, "upscale_tolerance": 0.05, "downscale_tolerance": 0.05, "panic_window": "6s", "panic_threshold": 2.0, "forecast": true, "schedule": []}, "update_strategy": {"max_surge": "25%", "max_unavailable": "25%"}, "networking": {"endpoint": null, "cors": null}, "node_groups": null, "node_selector": {}, "tolerations": [], "priority": null}', '/gone', NULL, '2026-11-01 12:00:06.123456+00', 2);
INSERT INTO public.rollouts VALUES ('full', 1, 1, 'deploy', 'done', '', '2026-11-01 12:00:01.123456+00', '2026-11-01 12:00:02.123456+00', '');
INSERT INTO public.rollouts VALUES ('server', 1, 1, 'deploy', 'done', '', '2026-11-01 12:00:01.123456+00', '2026-11-01 12:00:03.123456+00', '');
INSERT INTO public.rollouts VALUES ('plain', 1, 1, 'deploy', 'failed', 'Revision 1 did not become ready: no.
Traceback', '2026-11-01 12:00:01.123456+00', '2026-11-01 12:00:04.123456+00', '');
INSERT INTO public.rollouts VALUES ('full', 2, 2, 'deploy', 'progressing', '', '2026-11-01 12:00:05.123456+00', NULL, '');
INSERT INTO public.rollouts VALUES ('gone', 1, 1, 'deploy', 'progressing', '', '2026-11-01 12:00:06.123456+00', NULL, '');
SELECT pg_catalog.setval('public.events_id_seq', 1, true);
SELECT pg_catalog.setval('public.log_segments_id_seq', 1, false);
SELECT pg_catalog.setval('public.starts_id_seq', 1, false);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.apis
    ADD CONSTRAINT apis_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.file_chunks
    ADD CONSTRAINT file_chunks_pkey PRIMARY KEY (content, number);
ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (content);
ALTER TABLE ONLY public.leadership
    ADD CONSTRAINT leadership_pkey PRIMARY KEY (leader);
ALTER TABLE ONLY public.log_segments
    ADD CONSTRAINT log_segments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.nodes_record
    ADD CONSTRAINT nodes_record_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.packages
    ADD CONSTRAINT packages_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_pkey PRIMARY KEY (api, number);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (api, number);
ALTER TABLE ONLY public.scaling_memories
    ADD CONSTRAINT scaling_memories_pkey PRIMARY KEY (api);
ALTER TABLE ONLY public.starts
    ADD CONSTRAINT starts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (digest);
CREATE INDEX events_api ON public.events USING btree (api, id);
CREATE INDEX files_name ON public.files USING btree (name);
CREATE INDEX log_segments_api ON public.log_segments USING btree (api, last);
CREATE INDEX log_segments_source ON public.log_segments USING btree (replica, source, id);
CREATE INDEX revisions_package ON public.revisions USING btree (package);
CREATE INDEX starts_revision ON public.starts USING btree (api, revision, kind, id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_api_fkey FOREIGN KEY (api) REFERENCES public.apis(name) ON DELETE CASCADE;
ALTER TABLE ONLY public.file_chunks
    ADD CONSTRAINT file_chunks_content_fkey FOREIGN KEY (content) REFERENCES public.files(content) ON DELETE CASCADE;
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_api_fkey FOREIGN KEY (api) REFERENCES public.apis(name) ON DELETE CASCADE;
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_package_fkey FOREIGN KEY (package) REFERENCES public.packages(digest);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_api_revision_fkey FOREIGN KEY (api, revision) REFERENCES public.revisions(api, number) ON DELETE CASCADE;
ALTER TABLE ONLY public.scaling_memories
    ADD CONSTRAINT scaling_memories_api_fkey FOREIGN KEY (api) REFERENCES public.apis(name) ON DELETE CASCADE;
ALTER TABLE ONLY public.starts
    ADD CONSTRAINT starts_api_revision_fkey FOREIGN KEY (api, revision) REFERENCES public.revisions(api, number) ON DELETE CASCADE;
