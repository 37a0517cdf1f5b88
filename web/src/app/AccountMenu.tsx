import { Menu } from "@mantine/core";
import IconUser from "@tabler/icons-react/dist/esm/icons/IconUser.mjs";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { sessionQuery, signOut } from "../api/session";
import { SIGN_IN } from "../api/signInPage";

/** Who one is, with the way out where one has signed in. */
export function AccountMenu() {
  const session = useQuery(sessionQuery()).data;
  const navigate = useNavigate();
  const leaving = useMutation({ mutationFn: signOut, onSuccess: () => location.assign(SIGN_IN) });
  if (!session?.signed_in)
    return (
      <Link to="/account" className="button quiet icon" aria-label="Account" title="Account">
        <IconUser size={17} aria-hidden />
      </Link>
    );
  return (
    <Menu position="bottom-end" withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <button type="button" className="button quiet account" aria-label={`Account of ${session.name}`}>
          <IconUser size={17} aria-hidden />
          <span className="clip">{session.name}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void navigate({ to: "/account" })}>Account</Menu.Item>
        <Menu.Item disabled={leaving.isPending} onClick={() => leaving.mutate()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
