-- Modify "rule_sets" table
ALTER TABLE "rule_sets" ADD COLUMN "by_vendor" boolean NOT NULL DEFAULT false;
