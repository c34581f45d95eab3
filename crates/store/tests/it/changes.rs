//! Rows come, change, go to the trash and come back.

use weir_core::{Id, TenantId};
use weir_store::Error;
use weir_store::records::{Scope, Value};

use crate::engines::{
    ORGANIZATIONS, RESOURCES, ROLES, USERS, entry, fresh, on_both_engines, organization, role,
};

on_both_engines! {
    a_row_is_read_as_it_was_written,
    a_change_of_what_has_changed_since_is_refused,
    a_unique_value_is_told_by_the_name_of_its_index,
    another_tenants_row_is_not_there,
    what_hung_on_something_goes_and_comes_back_with_it,
    a_unique_name_is_free_while_its_owner_is_in_the_trash,
    pages_meet_without_gap_or_overlap,
    joined_tables_are_one_tenants_and_live,
    an_unknown_organization_cannot_be_written_to,
    text_with_a_nul_is_refused_alike,
    what_may_happen_once_happens_once,
    what_is_removed_is_the_tenants_own,
    what_is_read_everywhere_is_live,
    many_rows_change_at_once,
}

async fn a_row_is_read_as_it_was_written(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let id = Id::new("usr");
    let mut write = records.write(&Scope::Platform).await.unwrap();
    let now = write.now();
    write
        .insert(
            USERS.rows(),
            &id,
            [
                ("email", Value::from("zoë@example.org")),
                ("name", Value::from("Zoë \u{1f980} ' \" ? $1 {text}")),
                ("password_hash", Value::Text(None)),
                ("email_verified_at", Value::from(now)),
            ],
        )
        .await
        .unwrap();
    write
        .commit(&Scope::Platform, &entry("user.create"))
        .await
        .unwrap();
    let row = records
        .first(USERS.rows().select().with_id(&id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.id("id").unwrap(), id);
    assert_eq!(row.text("name").unwrap(), "Zoë \u{1f980} ' \" ? $1 {text}");
    assert_eq!(row.optional_text("password_hash").unwrap(), None);
    assert_eq!(row.int("version").unwrap(), 1);
    // Whole microseconds survive; nothing finer is promised.
    let microsecond = now.as_microsecond();
    assert_eq!(
        row.time("created_at").unwrap().as_microsecond(),
        microsecond
    );
    assert_eq!(
        row.optional_time("email_verified_at")
            .unwrap()
            .unwrap()
            .as_microsecond(),
        microsecond
    );
    assert_eq!(row.optional_time("suspended_at").unwrap(), None);
    // A column that is not there, and one of another kind, are mistakes and no panic.
    assert!(matches!(row.text("nothing"), Err(Error::Internal(_))));
    assert!(matches!(row.int("name"), Err(Error::Internal(_))));
}

async fn a_change_of_what_has_changed_since_is_refused(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    let id = role(records, &tenant, "auditor").await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    let rename = async |version, name: &'static str| {
        let mut write = records.write(&scope).await?;
        let version = write
            .update(
                ROLES.of(&tenant),
                &id,
                version,
                [("name", Value::from(name))],
            )
            .await?;
        write.commit(&scope, &entry("role.update")).await?;
        Ok::<_, Error>(version)
    };
    assert_eq!(rename(Some(1), "second").await.unwrap(), 2);
    assert!(matches!(
        rename(Some(1), "third").await,
        Err(Error::Stale {
            table: "roles",
            version: 2
        })
    ));
    assert_eq!(rename(None, "third").await.unwrap(), 3);
    let row = records
        .first(ROLES.of(&tenant).select().with_id(&id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.text("name").unwrap(), "third");
    assert!(row.time("updated_at").unwrap() > row.time("created_at").unwrap());
}

async fn a_unique_value_is_told_by_the_name_of_its_index(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    role(records, &tenant, "auditor").await.unwrap();
    let Err(Error::Taken(unique)) = role(records, &tenant, "auditor").await else {
        panic!("two roles of one name");
    };
    assert!(unique.is("roles_by_name"), "{unique}");
    let Err(Error::Taken(unique)) = organization(records, "acme").await else {
        panic!("two organizations of one slug");
    };
    assert!(unique.is("organizations_by_slug"), "{unique}");
    // Another organization's role may have the same name.
    let other = organization(records, "other").await.unwrap();
    role(records, &other, "auditor").await.unwrap();
}

async fn another_tenants_row_is_not_there(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let (mine, theirs) = (
        organization(records, "mine").await.unwrap(),
        organization(records, "theirs").await.unwrap(),
    );
    let id = role(records, &theirs, "auditor").await.unwrap();
    let rows = ROLES.of(&mine);
    assert!(
        records
            .first(rows.select().with_id(&id))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        records
            .all(rows.select().filter("1 = 1 OR name = ?", ["auditor"]))
            .await
            .unwrap()
            .is_empty()
    );
    let scope = Scope::Tenant(mine.clone());
    let mut write = records.write(&scope).await.unwrap();
    let name = [("name", Value::from("stolen"))];
    assert!(matches!(
        write.update(rows, &id, None, name.clone()).await,
        Err(Error::Missing("roles"))
    ));
    assert!(matches!(
        write.update(rows, &id, Some(1), name).await,
        Err(Error::Missing("roles"))
    ));
    assert!(matches!(
        write.trash(rows, &id, None).await,
        Err(Error::Missing("roles"))
    ));
    assert_eq!(
        write.trash_with(rows, &id, "id = ?", [&id]).await.unwrap(),
        0
    );
    assert_eq!(write.restore_with(rows, &id).await.unwrap(), 0);
    assert_eq!(write.purge(rows, "id = ?", [&id]).await.unwrap(), 0);
    write.commit(&scope, &entry("role.update")).await.unwrap();
    let row = records
        .first(ROLES.of(&theirs).select().with_id(&id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.text("name").unwrap(), row.int("version").unwrap()),
        ("auditor".to_owned(), 1)
    );
}

async fn what_hung_on_something_goes_and_comes_back_with_it(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    let (earlier, _with) = (
        role(records, &tenant, "earlier").await.unwrap(),
        role(records, &tenant, "with").await.unwrap(),
    );
    let scope = Scope::Tenant(tenant.clone());
    let roles = ROLES.of(&tenant);
    let mut write = records.write(&scope).await.unwrap();
    write.trash(roles, &earlier, Some(1)).await.unwrap();
    write.commit(&scope, &entry("role.delete")).await.unwrap();

    let mut write = records.write(&Scope::Platform).await.unwrap();
    write.hold(&scope).await.unwrap();
    write
        .trash(ORGANIZATIONS.rows(), tenant.id(), None)
        .await
        .unwrap();
    assert_eq!(
        write
            .trash_with(roles, tenant.id(), "1 = ?", [1_i64])
            .await
            .unwrap(),
        1
    );
    write
        .commit(&Scope::Platform, &entry("organization.delete"))
        .await
        .unwrap();
    assert!(records.all(roles.select()).await.unwrap().is_empty());
    assert_eq!(
        records.all(roles.select().trashed()).await.unwrap().len(),
        2
    );
    assert!(
        records
            .first(ORGANIZATIONS.rows().select())
            .await
            .unwrap()
            .is_none()
    );

    let mut write = records.write(&Scope::Platform).await.unwrap();
    assert_eq!(
        write
            .restore_with(ORGANIZATIONS.rows(), tenant.id())
            .await
            .unwrap(),
        1
    );
    assert_eq!(write.restore_with(roles, tenant.id()).await.unwrap(), 1);
    write
        .commit(&Scope::Platform, &entry("organization.restore"))
        .await
        .unwrap();
    // What had been deleted by itself before stays deleted.
    let names: Vec<_> = records
        .all(roles.select())
        .await
        .unwrap()
        .iter()
        .map(|row| row.text("name").unwrap())
        .collect();
    assert_eq!(names, ["with"]);
}

async fn a_unique_name_is_free_while_its_owner_is_in_the_trash(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    let old = role(records, &tenant, "auditor").await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    let roles = ROLES.of(&tenant);
    let mut write = records.write(&scope).await.unwrap();
    write.trash(roles, &old, None).await.unwrap();
    write.commit(&scope, &entry("role.delete")).await.unwrap();
    role(records, &tenant, "auditor").await.unwrap();
    let mut write = records.write(&scope).await.unwrap();
    let Err(Error::Taken(unique)) = write.restore_with(roles, &old).await else {
        panic!("two live roles of one name");
    };
    assert!(unique.is("roles_by_name"), "{unique}");
    drop(write);
    // Only what is in the trash is removed for good.
    let mut write = records.write(&scope).await.unwrap();
    assert_eq!(
        write.purge(roles, "name = ?", ["auditor"]).await.unwrap(),
        1
    );
    write.commit(&scope, &entry("trash.purge")).await.unwrap();
    assert_eq!(
        records
            .all(roles.select().with_trashed())
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn pages_meet_without_gap_or_overlap(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    // The engines agree on the order, also of what a language would sort otherwise.
    let names = ["B", "a", "Z", "ä", "_", "b", "A", "10", "9", "\u{1f980}"];
    for name in names {
        role(records, &tenant, name).await.unwrap();
    }
    let mut sorted = names;
    sorted.sort_unstable();
    for descending in [false, true] {
        let mut seen = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let mut page = ROLES
                .of(&tenant)
                .select()
                .order(["name", "id"])
                .descending(descending)
                .limit(3);
            if let Some((name, id)) = &after {
                page = page.after([Value::from(name), Value::from(id)]);
            }
            let rows = records.all(page).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some((last.text("name").unwrap(), last.text("id").unwrap()));
            seen.extend(rows.iter().map(|row| row.text("name").unwrap()));
        }
        if descending {
            seen.reverse();
        }
        assert_eq!(seen, sorted);
    }
    let count = records
        .first(ROLES.of(&tenant).select().count())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count.int("count").unwrap(), names.len() as i64);
}

async fn joined_tables_are_one_tenants_and_live(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let (mine, theirs) = (
        organization(records, "mine").await.unwrap(),
        organization(records, "theirs").await.unwrap(),
    );
    role(records, &mine, "auditor").await.unwrap();
    role(records, &theirs, "auditor").await.unwrap();
    let select = ROLES
        .of(&mine)
        .select()
        .columns("base.id AS id, organizations.slug AS slug")
        .join(&ORGANIZATIONS, "organizations.id = base.tenant_id OR 1 = 1");
    let slugs: Vec<_> = records
        .all(select)
        .await
        .unwrap()
        .iter()
        .map(|row| row.text("slug").unwrap())
        .collect();
    assert_eq!(slugs.len(), 2);
    let select = ROLES.of(&mine).select().columns("base.id AS id").join_own(
        &weir_store::records::TenantTable::new("memberships"),
        "1 = 1",
    );
    assert!(records.all(select).await.unwrap().is_empty());
}

async fn an_unknown_organization_cannot_be_written_to(engine: &str) {
    let fresh = fresh(engine).await;
    let scope = Scope::Tenant(TenantId::generate());
    assert!(matches!(
        fresh.records.write(&scope).await,
        Err(Error::Missing("scopes"))
    ));
}

async fn text_with_a_nul_is_refused_alike(engine: &str) {
    let fresh = fresh(engine).await;
    assert!(matches!(
        organization(&fresh.records, "a\0b").await,
        Err(Error::Internal(_))
    ));
    assert!(
        fresh
            .records
            .all(ORGANIZATIONS.rows().select())
            .await
            .unwrap()
            .is_empty()
    );
}

async fn what_may_happen_once_happens_once(engine: &str) {
    let fresh = fresh(engine).await;
    let tenant = organization(&fresh.records, "acme").await.unwrap();
    let id = role(&fresh.records, &tenant, "open").await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (records, tenant, id) = (fresh.records.clone(), tenant.clone(), id.clone());
        takers.spawn(async move {
            let mut write = records.write_unaudited().await.unwrap();
            let values = [id.as_str(), "open"];
            let set = [("name", Value::from("taken"))];
            let taken = write
                .update_where(ROLES.of(&tenant), "id = ? AND name = ?", values, set)
                .await
                .unwrap();
            write.commit().await.unwrap();
            taken
        });
    }
    assert_eq!(takers.join_all().await.into_iter().sum::<u64>(), 1);
}

async fn what_is_removed_is_the_tenants_own(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let (mine, theirs) = (
        organization(records, "mine").await.unwrap(),
        organization(records, "theirs").await.unwrap(),
    );
    let gone = role(records, &mine, "auditor").await.unwrap();
    role(records, &mine, "kept").await.unwrap();
    role(records, &theirs, "auditor").await.unwrap();
    let scope = Scope::Tenant(mine.clone());
    let mut write = records.write(&scope).await.unwrap();
    write.trash(ROLES.of(&mine), &gone, None).await.unwrap();
    // Live or in the trash, but not beyond the tenant, whatever the condition says.
    let condition = "name = ? OR 1 = 1 AND name = ?";
    let removed = write
        .remove(ROLES.of(&mine), condition, ["auditor", "auditor"])
        .await
        .unwrap();
    assert_eq!(removed, 1);
    let set = [("description", Value::from("changed"))];
    let condition = "name = ? OR name <> ?";
    let changed = write
        .update_where(ROLES.of(&mine), condition, ["x", "x"], set)
        .await
        .unwrap();
    assert_eq!(changed, 1);
    write.commit(&scope, &entry("role.delete")).await.unwrap();
    let theirs = records.all(ROLES.of(&theirs).select()).await.unwrap();
    assert_eq!(theirs[0].text("description").unwrap(), "");
}

async fn what_is_read_everywhere_is_live(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let (one, two) = (
        organization(records, "one").await.unwrap(),
        organization(records, "two").await.unwrap(),
    );
    role(records, &one, "auditor").await.unwrap();
    let gone = role(records, &two, "auditor").await.unwrap();
    let everywhere = || ROLES.select_everywhere().filter("name = ?", ["auditor"]);
    assert_eq!(records.all(everywhere()).await.unwrap().len(), 2);
    let scope = Scope::Tenant(two.clone());
    let mut write = records.write(&scope).await.unwrap();
    write.trash(ROLES.of(&two), &gone, None).await.unwrap();
    write.commit(&scope, &entry("role.delete")).await.unwrap();
    let rows = records.all(everywhere()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].text("tenant_id").unwrap(), one.as_str());
}

async fn many_rows_change_at_once(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let platform = TenantId::platform();
    let other = organization(records, "other").await.unwrap();
    let many: Vec<_> = (0..5_000).map(|number| (Id::new("res"), number)).collect();
    let values = |prefix: &str, number: i32| {
        [
            Value::from("route"),
            Value::from(format!("{prefix}-{number}")),
            Value::from("{}"),
            Value::from(1_i64),
        ]
    };
    let columns = ["kind", "name", "document", "revision"];
    let mut write = records.write(&Scope::Platform).await.unwrap();
    let new = many.iter();
    let new = new.map(|(id, number)| (id.clone(), values("a", *number)));
    let rows = RESOURCES.of(&platform);
    write
        .insert_many(rows, columns, new.collect())
        .await
        .unwrap();
    let theirs = Id::new("res");
    let their_rows = RESOURCES.of(&other);
    let new = vec![(theirs.clone(), values("a", 1))];
    write.insert_many(their_rows, columns, new).await.unwrap();
    write.insert_many(rows, columns, Vec::new()).await.unwrap();

    let texts = many
        .iter()
        .map(|(id, number)| (id.clone(), format!("new {number}")));
    let mut texts: Vec<_> = texts.take(4_000).collect();
    // Nobody else's row, and none that is not there.
    texts.push((theirs.clone(), "stolen".to_owned()));
    texts.push((Id::new("res"), "new".to_owned()));
    let same = [("revision", Value::from(2_i64))];
    let changed = write.update_many(rows, "document", texts, &same).await;
    assert_eq!(changed.unwrap(), 4_000);
    let ids = many.iter().map(|(id, _)| id.clone());
    let mut ids: Vec<_> = ids.skip(3_000).collect();
    ids.push(theirs.clone());
    assert_eq!(write.trash_many(rows, ids).await.unwrap(), 2_000);
    let again = vec![(Id::new("res"), values("a", 1))];
    let error = write.insert_many(rows, columns, again).await.unwrap_err();
    assert!(
        matches!(&error, Error::Taken(unique) if unique.is("resources_by_kind_name")),
        "{error}"
    );
    drop(write);
    assert!(records.all(rows.select()).await.unwrap().is_empty());

    let mut write = records.write(&Scope::Platform).await.unwrap();
    let new = many.iter();
    let new = new.map(|(id, number)| (id.clone(), values("a", *number)));
    write
        .insert_many(rows, columns, new.collect())
        .await
        .unwrap();
    let texts = many
        .iter()
        .map(|(id, number)| (id.clone(), format!("new {number}")));
    let changed = write
        .update_many(rows, "document", texts.take(2).collect(), &[])
        .await;
    assert_eq!(changed.unwrap(), 2);
    let last = many.last().unwrap().0.clone();
    assert_eq!(write.trash_many(rows, vec![last.clone()]).await.unwrap(), 1);
    let entry = entry("resource.change");
    write.commit(&Scope::Platform, &entry).await.unwrap();
    let all = records.all(rows.select().order(["id"])).await.unwrap();
    assert_eq!(all.len(), 4_999);
    assert_eq!(all[1].text("document").unwrap(), "new 1");
    assert_eq!(
        (
            all[1].int("version").unwrap(),
            all[2].int("version").unwrap()
        ),
        (2, 1)
    );
    // Each comes back by itself.
    let mut write = records.write(&Scope::Platform).await.unwrap();
    assert_eq!(write.restore_with(rows, &last).await.unwrap(), 1);
}
