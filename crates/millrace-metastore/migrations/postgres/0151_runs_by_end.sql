-- The timeline of all pipelines asks for what ended in a window of time.
CREATE INDEX pipeline_run_ended ON pipeline_run (ended_at);
