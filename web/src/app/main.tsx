import "@mantine/core/styles/baseline.css";
import "@mantine/core/styles/default-css-variables.css";
import "@mantine/core/styles/global.css";
import "@mantine/core/styles/UnstyledButton.css";
import "@mantine/core/styles/Popover.css";
import "@mantine/core/styles/Menu.css";
import "../ui/tokens.css";
import "../ui/base.css";
import "../ui/parts.css";
import "../ui/shell.css";
import "../charts/charts.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ourAddress } from "./mlflowLinks";
import { router } from "./router";
import { theme } from "./theme";

const client = new QueryClient({
  defaultOptions: { queries: { staleTime: 5000, retry: (failures, error) => failures < 2 && !("problem" in error) } },
});

const linked = location.pathname === "/" ? ourAddress(location.hash) : undefined;
if (linked) history.replaceState(null, "", linked);

const host = document.getElementById("root");
if (host) {
  createRoot(host).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={client}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
