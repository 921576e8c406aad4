-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_tmr_servers" table
CREATE TABLE `new_tmr_servers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `address` text NOT NULL, `link_token_hash` blob NOT NULL, `leading` bool NOT NULL DEFAULT (false), `seen_at` datetime NULL, `rules_digest` text NOT NULL DEFAULT (''), `rules_own` bool NOT NULL DEFAULT (false), `rules_problem` text NOT NULL DEFAULT (''), `container_id` text NULL, `tmr_group_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tmr_servers_containers_servers` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `tmr_servers_tmr_groups_servers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `tmr_servers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_servers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "tmr_servers" to new temporary table "new_tmr_servers"
INSERT INTO `new_tmr_servers` (`id`, `created_at`, `name`, `address`, `link_token_hash`, `leading`, `seen_at`, `container_id`, `tmr_group_id`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `name`, `address`, `link_token_hash`, `leading`, `seen_at`, `container_id`, `tmr_group_id`, `vendor_id`, `customer_id` FROM `tmr_servers`;
-- Drop "tmr_servers" table after copying rows
DROP TABLE `tmr_servers`;
-- Rename temporary table "new_tmr_servers" to "tmr_servers"
ALTER TABLE `new_tmr_servers` RENAME TO `tmr_servers`;
-- Create index "tmr_servers_link_token_hash_key" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmr_servers_link_token_hash_key` ON `tmr_servers` (`link_token_hash`);
-- Create index "tmrserver_vendor_id_id" to table: "tmr_servers"
CREATE INDEX `tmrserver_vendor_id_id` ON `tmr_servers` (`vendor_id`, `id`);
-- Create index "tmrserver_customer_id_id" to table: "tmr_servers"
CREATE INDEX `tmrserver_customer_id_id` ON `tmr_servers` (`customer_id`, `id`);
-- Create index "tmrserver_tmr_group_id_name" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmrserver_tmr_group_id_name` ON `tmr_servers` (`tmr_group_id`, `name`);
-- Create index "tmrserver_container_id_name" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmrserver_container_id_name` ON `tmr_servers` (`container_id`, `name`);
-- Create "rule_sets" table
CREATE TABLE `rule_sets` (`id` text NOT NULL, `created_at` datetime NOT NULL, `version` integer NOT NULL, `text` text NOT NULL, `digest` text NOT NULL, `saved_by` text NOT NULL, `container_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rule_sets_containers_rule_sets` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `rule_sets_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rule_sets_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `rule_sets_tmr_groups_rule_sets` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
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
