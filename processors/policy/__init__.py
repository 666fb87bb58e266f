"""Policy packs: guides, quotas, surcharges and factors as dated data with their legal source."""
