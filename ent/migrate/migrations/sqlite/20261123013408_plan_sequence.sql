-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_rollout_plans" table
CREATE TABLE `new_rollout_plans` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `state` text NOT NULL DEFAULT ('SCHEDULED'), `not_before` datetime NULL, `window` json NULL, `at_once` integer NOT NULL DEFAULT (1), `stop_after` integer NOT NULL DEFAULT (0), `stop_reason` text NOT NULL DEFAULT (''), `started_by` text NOT NULL, `finished_at` datetime NULL, `revision` integer NOT NULL DEFAULT (1), `sequence` integer NOT NULL DEFAULT (0), `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rollout_plans_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollout_plans_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "rollout_plans" to new temporary table "new_rollout_plans"
INSERT INTO `new_rollout_plans` (`id`, `created_at`, `name`, `state`, `not_before`, `window`, `at_once`, `stop_after`, `stop_reason`, `started_by`, `finished_at`, `revision`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `name`, `state`, `not_before`, `window`, `at_once`, `stop_after`, `stop_reason`, `started_by`, `finished_at`, `revision`, `vendor_id`, `customer_id` FROM `rollout_plans`;
-- Drop "rollout_plans" table after copying rows
DROP TABLE `rollout_plans`;
-- Rename temporary table "new_rollout_plans" to "rollout_plans"
ALTER TABLE `new_rollout_plans` RENAME TO `rollout_plans`;
-- Create index "rolloutplan_vendor_id_id" to table: "rollout_plans"
CREATE INDEX `rolloutplan_vendor_id_id` ON `rollout_plans` (`vendor_id`, `id`);
-- Create index "rolloutplan_customer_id_id" to table: "rollout_plans"
CREATE INDEX `rolloutplan_customer_id_id` ON `rollout_plans` (`customer_id`, `id`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
