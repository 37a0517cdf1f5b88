-- What an attempt used, as far as it was measured. Milliseconds and bytes.
ALTER TABLE step_attempt ADD COLUMN cpu_user_ms BIGINT;
ALTER TABLE step_attempt ADD COLUMN cpu_system_ms BIGINT;
ALTER TABLE step_attempt ADD COLUMN peak_memory_bytes BIGINT;
ALTER TABLE step_attempt ADD COLUMN read_bytes BIGINT;
ALTER TABLE step_attempt ADD COLUMN written_bytes BIGINT;
