use millrace_metastore::accounts::{GrantRow, TokenRow};

use millrace_metastore::roles::RolesOf;

use crate::on_both;

fn grant(kind: &str, object: &str, permission: &str) -> GrantRow {
    GrantRow { kind: kind.to_owned(), object: object.to_owned(), permission: permission.to_owned() }
}

#[tokio::test]
async fn accounts_with_tokens_and_grants() {
    on_both(|store| {
        Box::pin(async move {
            let made = |name: &str| store.create_account(name.to_owned(), "hash".to_owned(), 1);
            let one = made("one").await.unwrap().unwrap();
            assert_eq!(made("one").await.unwrap(), None);
            made("other").await.unwrap().unwrap();
            assert!(store.set_account_admin("one".to_owned(), true).await.unwrap());
            assert!(store.set_account_password("one".to_owned(), "new".to_owned()).await.unwrap());
            assert!(!store.set_account_admin("nobody".to_owned(), true).await.unwrap());
            let found = store.find_account("one".to_owned()).await.unwrap().unwrap();
            assert_eq!((found.id, found.password_hash.as_str(), found.is_admin), (one.id, "new", true));

            let token = TokenRow { id: "t".to_owned(), name: "laptop".to_owned(), created_at: 2 };
            store.create_token(one.id, token.clone(), "digest".to_owned()).await.unwrap();
            assert_eq!(store.list_tokens(one.id).await.unwrap(), [token]);
            assert_eq!(store.find_account_of_token("digest".to_owned()).await.unwrap(), Some(found));
            assert_eq!(store.find_account_of_token("other".to_owned()).await.unwrap(), None);

            for (object, permission) in [("1", "READ"), ("1", "EDIT"), ("*", "DENY")] {
                store.set_grant(one.id, grant("experiment", object, permission)).await.unwrap();
            }
            store.set_grant(one.id, grant("registered_model", "a", "MANAGE")).await.unwrap();
            store
                .move_grants("registered_model".to_owned(), "a".to_owned(), Some("b".to_owned()))
                .await
                .unwrap();
            assert!(store.remove_grant(one.id, "experiment".to_owned(), "*".to_owned()).await.unwrap());
            let held = [grant("experiment", "1", "EDIT"), grant("registered_model", "b", "MANAGE")];
            assert_eq!(store.list_grants(one.id).await.unwrap(), held);
            store.move_grants("registered_model".to_owned(), "b".to_owned(), None).await.unwrap();
            assert_eq!(store.list_grants(one.id).await.unwrap(), held[..1]);

            assert!(store.delete_account("one".to_owned()).await.unwrap());
            assert_eq!(store.list_grants(one.id).await.unwrap(), []);
            assert_eq!(store.find_account_of_token("digest".to_owned()).await.unwrap(), None);
            let names: Vec<String> =
                store.list_accounts().await.unwrap().into_iter().map(|a| a.name).collect();
            assert_eq!(names, ["other"]);
        })
    })
    .await;
}

#[tokio::test]
async fn roles_with_their_permissions_and_members() {
    on_both(|store| {
        Box::pin(async move {
            let account =
                store.create_account("one".to_owned(), "hash".to_owned(), 1).await.unwrap().unwrap();
            let role = store.create_role("readers".to_owned(), None).await.unwrap().unwrap();
            assert_eq!(store.create_role("readers".to_owned(), None).await.unwrap(), None);
            let other = store.create_role("other".to_owned(), None).await.unwrap().unwrap();
            let rename = |id, name: &str| store.update_role(id, Some(name.to_owned()), None);
            assert_eq!(rename(role.id, "other").await.unwrap(), Some(false));
            assert_eq!(rename(role.id, "lookers").await.unwrap(), Some(true));
            assert_eq!(rename(99, "x").await.unwrap(), None);

            let read = grant("registered_model", "a", "READ");
            let added = store.add_role_grant(role.id, read.clone()).await.unwrap().unwrap();
            assert_eq!(store.add_role_grant(role.id, read.clone()).await.unwrap(), None);
            assert!(store.add_role_grant(99, read.clone()).await.is_err());
            assert!(store.update_role_grant(added.id, "EDIT".to_owned()).await.unwrap());
            let member = store.assign_role(account.id, role.id).await.unwrap().unwrap();
            assert_eq!(store.assign_role(account.id, role.id).await.unwrap(), None);
            assert!(store.assign_role(99, role.id).await.is_err());
            assert_eq!(store.list_role_members(Some(role.id)).await.unwrap(), [member]);
            assert_eq!(store.list_role_members(Some(other.id)).await.unwrap(), []);

            store.set_grant(account.id, grant("experiment", "1", "READ")).await.unwrap();
            let held = store.list_held_grants(account.id).await.unwrap();
            assert_eq!(held, [grant("experiment", "1", "READ"), grant("registered_model", "a", "EDIT")]);
            let theirs = store.list_roles(RolesOf::Account(account.id)).await.unwrap();
            assert_eq!((theirs.len(), theirs[0].name.as_str(), theirs[0].grants.len()), (1, "lookers", 1));
            assert_eq!(store.list_roles(RolesOf::Everybody).await.unwrap().len(), 2);

            // A role's permission goes with its model.
            let kind = || "registered_model".to_owned();
            store.move_grants(kind(), "a".to_owned(), Some("b".to_owned())).await.unwrap();
            assert_eq!(store.find_role_grant(added.id).await.unwrap().unwrap().grant.object, "b");
            store.move_grants(kind(), "b".to_owned(), None).await.unwrap();
            assert_eq!(store.find_role_grant(added.id).await.unwrap(), None);

            assert!(store.unassign_role(account.id, role.id).await.unwrap());
            assert!(!store.unassign_role(account.id, role.id).await.unwrap());
            store.assign_role(account.id, role.id).await.unwrap().unwrap();
            assert!(store.delete_role(role.id).await.unwrap() && !store.delete_role(role.id).await.unwrap());
            assert_eq!(store.list_role_members(None).await.unwrap(), []);
        })
    })
    .await;
}
