-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_rule_sets" table
CREATE TABLE `new_rule_sets` (`id` text NOT NULL, `created_at` datetime NOT NULL, `version` integer NOT NULL, `text` text NOT NULL, `digest` text NOT NULL, `saved_by` text NOT NULL, `by_vendor` bool NOT NULL DEFAULT (false), `container_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rule_sets_containers_rule_sets` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `rule_sets_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rule_sets_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `rule_sets_tmr_groups_rule_sets` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "rule_sets" to new temporary table "new_rule_sets"
INSERT INTO `new_rule_sets` (`id`, `created_at`, `version`, `text`, `digest`, `saved_by`, `container_id`, `vendor_id`, `customer_id`, `tmr_group_id`) SELECT `id`, `created_at`, `version`, `text`, `digest`, `saved_by`, `container_id`, `vendor_id`, `customer_id`, `tmr_group_id` FROM `rule_sets`;
-- Drop "rule_sets" table after copying rows
DROP TABLE `rule_sets`;
-- Rename temporary table "new_rule_sets" to "rule_sets"
ALTER TABLE `new_rule_sets` RENAME TO `rule_sets`;
-- Create index "ruleset_vendor_id_id" to table: "rule_sets"
CREATE INDEX `ruleset_vendor_id_id` ON `rule_sets` (`vendor_id`, `id`);
-- Create index "ruleset_customer_id_id" to table: "rule_sets"
CREATE INDEX `ruleset_customer_id_id` ON `rule_sets` (`customer_id`, `id`);
-- Create index "ruleset_tmr_group_id_version" to table: "rule_sets"
CREATE UNIQUE INDEX `ruleset_tmr_group_id_version` ON `rule_sets` (`tmr_group_id`, `version`);
-- Create index "ruleset_container_id_version" to table: "rule_sets"
CREATE UNIQUE INDEX `ruleset_container_id_version` ON `rule_sets` (`container_id`, `version`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
