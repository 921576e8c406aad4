-- Create "usage_kepts" table
CREATE TABLE `usage_kepts` (`id` text NOT NULL, `created_at` datetime NOT NULL, `seconds` integer NOT NULL, `since` datetime NOT NULL, PRIMARY KEY (`id`));
-- Create index "usage_kepts_seconds_key" to table: "usage_kepts"
CREATE UNIQUE INDEX `usage_kepts_seconds_key` ON `usage_kepts` (`seconds`);
