-- Modify "rollout_plans" table
ALTER TABLE "rollout_plans" ADD COLUMN "sequence" bigint NOT NULL DEFAULT 0;
