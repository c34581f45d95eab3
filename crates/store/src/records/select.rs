//! Queries: built of pieces, so that owner and trash cannot be forgotten.

use weir_core::Id;

use super::columns::columns;
use super::statement::Statement;
use super::table::{PlatformTable, Rows, TenantTable};
use super::value::Value;

/// A query for rows of one owner.
///
/// Conditions and columns are text of this program; values of others enter as `?`.
#[derive(Clone, Debug)]
pub struct Select {
    table: &'static str,
    columns: Asked,
    joins: Vec<(JoinedTable, &'static str)>,
    tenant: Option<Value>,
    trash: Trash,
    conditions: Vec<(&'static str, Vec<Value>)>,
    order: Vec<&'static str>,
    descending: bool,
    after: Vec<Value>,
    limit: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct JoinedTable {
    name: &'static str,
    is_tenants: bool,
}

/// Which columns are asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The table's, and these expressions besides.
    All(&'static str),
    Only(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trash {
    Out,
    Only,
    Also,
}

impl Select {
    pub(super) fn new(rows: &Rows<'_>) -> Self {
        Self {
            table: rows.table,
            columns: Asked::All(""),
            joins: Vec::new(),
            tenant: rows.tenant.map(Value::from),
            trash: Trash::Out,
            conditions: Vec::new(),
            order: Vec::new(),
            descending: false,
            after: Vec::new(),
            limit: None,
        }
    }

    /// Only these columns or expressions, instead of all of the table's.
    #[must_use]
    pub const fn columns(mut self, columns: &'static str) -> Self {
        self.columns = Asked::Only(columns);
        self
    }

    /// Besides the table's columns these expressions, or columns of joined tables.
    #[must_use]
    pub const fn also(mut self, columns: &'static str) -> Self {
        self.columns = Asked::All(columns);
        self
    }

    /// Only what is in the trash.
    #[must_use]
    pub const fn trashed(mut self) -> Self {
        self.trash = Trash::Only;
        self
    }

    /// What is in the trash as well.
    #[must_use]
    pub const fn with_trashed(mut self) -> Self {
        self.trash = Trash::Also;
        self
    }

    /// Only rows for which `condition` holds; each `?` is the next of `values`.
    #[must_use]
    pub fn filter<V: Into<Value>>(
        mut self,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.conditions.push((condition, values));
        self
    }

    /// Only the row of this identifier.
    #[must_use]
    pub fn with_id(self, id: &Id) -> Self {
        let condition = match self.joins.is_empty() {
            true => "id = ?",
            false => "base.id = ?",
        };
        self.filter(condition, [id])
    }

    /// Beside each row the live row of a table of the platform for which `on` holds; rows without one
    /// are left out. The first table is called `base` then.
    #[must_use]
    pub fn join(mut self, table: &PlatformTable, on: &'static str) -> Self {
        self.joins.push((
            JoinedTable {
                name: table.name,
                is_tenants: false,
            },
            on,
        ));
        self
    }

    /// The same with a table of tenants: only rows of the same tenant meet.
    #[must_use]
    pub fn join_own(mut self, table: &TenantTable, on: &'static str) -> Self {
        self.joins.push((
            JoinedTable {
                name: table.name,
                is_tenants: true,
            },
            on,
        ));
        self
    }

    /// In the order of these columns; the last one must be unique for pages to be exact.
    #[must_use]
    pub fn order(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.order = columns.into_iter().collect();
        self
    }

    /// Greatest first.
    #[must_use]
    pub const fn descending(mut self, descending: bool) -> Self {
        self.descending = descending;
        self
    }

    /// Only what comes behind the row with these values of the [order](Self::order)'s columns. The
    /// time it takes does not depend on how much came before.
    #[must_use]
    pub fn after(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.after = values.into_iter().collect();
        self
    }

    /// At most so many rows.
    #[must_use]
    pub const fn limit(mut self, rows: i64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// The same conditions, but how many rows there are, as `count`.
    #[must_use]
    pub fn count(mut self) -> Self {
        self.columns = Asked::Only("COUNT(*) AS count");
        self.order.clear();
        self.after.clear();
        self.limit = None;
        self
    }

    pub(super) fn into_statement(self) -> Statement {
        let is_joined = !self.joins.is_empty();
        let mut statement = Statement::new("SELECT ");
        match self.columns {
            Asked::Only(columns) => statement.push(columns),
            Asked::All(more) => {
                let own = columns(self.table);
                statement.push(if is_joined { &own.of_base } else { &own.plain });
                statement
                    .push(if more.is_empty() { "" } else { ", " })
                    .push(more)
            }
        };
        statement.push(" FROM ").push(self.table);
        if is_joined {
            statement.push(" AS base");
        }
        for (table, on) in &self.joins {
            statement.push(" JOIN ").push(table.name);
            statement.push(" ON (").push(on).push(") AND ");
            statement.push(table.name).push(".deleted_at IS NULL");
            if table.is_tenants {
                statement
                    .push(" AND ")
                    .push(table.name)
                    .push(".tenant_id = base.tenant_id");
            }
        }
        let base = if is_joined { "base." } else { "" };
        statement.push(" WHERE ").push(base);
        statement.push(match self.trash {
            Trash::Out => "deleted_at IS NULL",
            Trash::Only => "deleted_at IS NOT NULL",
            // What every row has, so that conditions follow alike.
            Trash::Also => "version > 0",
        });
        if let Some(tenant) = self.tenant {
            statement.push(" AND ").push(base).push("tenant_id = ");
            statement.push_value(tenant);
        }
        for (condition, values) in self.conditions {
            statement.push(" AND (").push(condition).push(")");
            for value in values {
                statement.bind(value);
            }
        }
        if !self.after.is_empty() {
            debug_assert_eq!(self.after.len(), self.order.len());
            statement.push(" AND (");
            push_list(&mut statement, &self.order, "");
            statement.push(if self.descending { ") < (" } else { ") > (" });
            for (at, value) in self.after.into_iter().enumerate() {
                statement.push(if at > 0 { ", " } else { "" });
                statement.push_value(value);
            }
            statement.push(")");
        }
        if !self.order.is_empty() {
            statement.push(" ORDER BY ");
            push_list(
                &mut statement,
                &self.order,
                if self.descending { " DESC" } else { "" },
            );
        }
        if let Some(limit) = self.limit {
            statement.push(" LIMIT ").push_value(limit);
        }
        statement
    }
}

fn push_list(statement: &mut Statement, columns: &[&'static str], suffix: &'static str) {
    for (at, column) in columns.iter().enumerate() {
        statement.push(if at > 0 { ", " } else { "" });
        statement.push(column).push(suffix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: PlatformTable = PlatformTable::new("users");
    const MEMBERSHIPS: TenantTable = TenantTable::new("memberships");

    const OF_MEMBERSHIPS: &str =
        "id, tenant_id, created_at, updated_at, deleted_at, deleted_with, version, user_id, role";

    fn text(select: Select) -> String {
        select.into_statement().into_parts().0
    }

    #[test]
    fn a_tenants_table_is_asked_for_the_tenants_live_rows() {
        let tenant = weir_core::TenantId::generate();
        let select = MEMBERSHIPS.of(&tenant).select();
        assert_eq!(
            text(select.clone()),
            format!(
                "SELECT {OF_MEMBERSHIPS} FROM memberships WHERE deleted_at IS NULL AND tenant_id = $1"
            )
        );
        assert_eq!(
            text(select.trashed().with_id(&Id::new("mbr"))),
            format!(
                "SELECT {OF_MEMBERSHIPS} FROM memberships WHERE deleted_at IS NOT NULL AND tenant_id = $1 AND (id = $2)"
            )
        );
    }

    #[test]
    fn a_condition_cannot_reach_beyond_its_parentheses() {
        let tenant = weir_core::TenantId::generate();
        let select = MEMBERSHIPS
            .of(&tenant)
            .select()
            .filter("role = ? OR role = ?", ["a", "b"]);
        assert_eq!(
            text(select),
            format!(
                "SELECT {OF_MEMBERSHIPS} FROM memberships WHERE deleted_at IS NULL AND tenant_id = $1 AND (role = $2 OR role = $3)"
            )
        );
    }

    #[test]
    fn pages_go_on_behind_the_last_row() {
        let select = USERS
            .rows()
            .select()
            .columns("id, email")
            .order(["created_at", "id"])
            .descending(true)
            .after([Value::from(5_i64), Value::from("usr_1")])
            .limit(20);
        assert_eq!(
            text(select.clone()),
            "SELECT id, email FROM users WHERE deleted_at IS NULL AND (created_at, id) < ($1, $2) \
             ORDER BY created_at DESC, id DESC LIMIT $3"
        );
        assert_eq!(
            text(select.count()),
            "SELECT COUNT(*) AS count FROM users WHERE deleted_at IS NULL"
        );
    }

    #[test]
    fn joined_rows_are_live_and_of_the_same_tenant() {
        let tenant = weir_core::TenantId::generate();
        let select = MEMBERSHIPS
            .of(&tenant)
            .select()
            .columns("base.id, users.email")
            .join(&USERS, "users.id = base.user_id")
            .join_own(&TenantTable::new("roles"), "roles.id = base.role_id");
        assert_eq!(
            text(select),
            "SELECT base.id, users.email FROM memberships AS base \
             JOIN users ON (users.id = base.user_id) AND users.deleted_at IS NULL \
             JOIN roles ON (roles.id = base.role_id) AND roles.deleted_at IS NULL AND roles.tenant_id = base.tenant_id \
             WHERE base.deleted_at IS NULL AND base.tenant_id = $1"
        );
    }

    #[test]
    fn a_whole_row_is_asked_for_by_name() {
        let select = MEMBERSHIPS
            .select_everywhere()
            .also("users.email")
            .join(&USERS, "users.id = base.user_id");
        assert_eq!(
            text(select),
            "SELECT base.id, base.tenant_id, base.created_at, base.updated_at, base.deleted_at, base.deleted_with, \
             base.version, base.user_id, base.role, users.email FROM memberships AS base \
             JOIN users ON (users.id = base.user_id) AND users.deleted_at IS NULL WHERE base.deleted_at IS NULL"
        );
    }
}
