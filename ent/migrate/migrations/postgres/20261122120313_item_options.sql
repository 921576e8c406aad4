-- Modify "items" table
ALTER TABLE "items" ADD COLUMN "revision" bigint NOT NULL DEFAULT 1, ADD COLUMN "activation" timestamptz NULL, ADD COLUMN "usage_period" bigint NULL, ADD COLUMN "units" bigint NULL, ADD COLUMN "issue" bigint NOT NULL DEFAULT 0, ADD COLUMN "maintenance_from" timestamptz NULL, ADD COLUMN "maintenance_until" timestamptz NULL, ADD COLUMN "minimum_version" character varying NULL, ADD COLUMN "text" character varying NULL, ADD COLUMN "access_list" jsonb NULL, ADD COLUMN "linger" bigint NULL, ADD COLUMN "protected_name" bytea NULL, ADD COLUMN "protected_data" bytea NULL, ADD COLUMN "secret_name" bytea NULL, ADD COLUMN "secret_data" bytea NULL;
-- Modify "rollouts" table
ALTER TABLE "rollouts" ADD COLUMN "products" jsonb NULL;
