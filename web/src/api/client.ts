import { leaveForSignIn } from "./signInPage";
import type { Problem } from "./types.gen";

const UNAUTHORIZED = 401;

/** An answer that is not the one asked for, as the server explains it (RFC 9457). */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(problem.message);
    this.name = "ApiError";
    this.status = status;
    this.problem = problem;
  }
}

/** Any failure as a problem to be shown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  const message = error instanceof Error ? error.message : String(error);
  return { code: "unexpected", severity: "error", message };
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** A path with its query; empty values are left out. */
export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return call<T>(address(path, query), { signal, headers: { accept: "application/json" } });
}

export function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return send<T>("POST", path, body, signal);
}

export function put<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return send<T>("PUT", path, body, signal);
}

export function remove<T>(path: string): Promise<T> {
  return call<T>(path, { method: "DELETE", headers: { accept: "application/json" } });
}

/** Changes something. */
export function send<T>(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body: unknown = {},
  signal?: AbortSignal,
): Promise<T> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return call<T>(path, { method, body: JSON.stringify(body), headers, signal });
}

async function call<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetch(url, init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, {
      code: "unreachable",
      severity: "error",
      message: "the server does not answer",
      hints: ["millrace up"],
    });
  });
  if (!response.ok) throw await refusal(response);
  return parse(await response.text()) as T;
}

/** What a refusal says. */
export async function refusal(response: Response): Promise<ApiError> {
  if (response.status === UNAUTHORIZED) leaveForSignIn();
  const text = await response.text();
  return new ApiError(response.status, explained(response, parse(text), text));
}

function parse(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function explained(response: Response, body: unknown, text: string): Problem {
  const said = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const message = [said.message, said.detail, said.title, said.error].find((word) => typeof word === "string");
  return {
    // MLflow's calls name theirs `error_code`.
    code: [said.code, said.error_code].find((code) => typeof code === "string") ?? `http-${response.status}`,
    severity: "error",
    message: typeof message === "string" ? message : text.slice(0, 200) || response.statusText,
    place: (said.place as Problem["place"]) ?? null,
    notes: Array.isArray(said.notes) ? said.notes.map(String) : [],
    hints: Array.isArray(said.hints) ? said.hints.map(String) : [],
  };
}
