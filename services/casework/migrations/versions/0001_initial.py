"""Cases with their timelines, answers and customers; people, teams, departments; policies and root causes."""

from __future__ import annotations

from alembic import op

from libs.events.schema import MESSAGING_V1
from libs.webapi.schema import WEBAPI_V1

revision = "0001"
down_revision = None

_CASEWORK_V1 = (
    # What casework knows of customers, for display. A row without a name is a customer whose profile has not come yet:
    # it is there to be locked, so that an erasure and an answer on its way cannot miss each other.
    """
    CREATE TABLE customers (
        customer_id text PRIMARY KEY,
        version integer NOT NULL DEFAULT 0,
        name text,
        language text,
        tier text,
        account_name text,
        erased_at timestamptz
    )
    """,
    # Every answer at its latest revision, whether or not it belongs to a case: the customer's history.
    """
    CREATE TABLE answers (
        response_id text PRIMARY KEY,
        revision integer NOT NULL,
        customer_id text,
        program text NOT NULL,
        touchpoint text,
        kind text NOT NULL,
        metric text NOT NULL,
        score integer,
        nps_class text,
        comment text,
        tier text NOT NULL,
        language text,
        answered_at timestamptz NOT NULL,
        cause_id uuid NOT NULL,
        traceparent text,
        case_id uuid,
        waits_for_owner boolean NOT NULL DEFAULT false
    )
    """,
    "CREATE INDEX answers_by_customer ON answers (customer_id, answered_at DESC, response_id)",
    "CREATE INDEX answers_by_case ON answers (case_id, answered_at)",
    "CREATE INDEX answers_waiting ON answers (answered_at, response_id) WHERE waits_for_owner",
    # No foreign keys on the tables that grow: rows are written together with what they point to, nothing of it is ever
    # deleted, and a check per row would lock the rows of the same few agents in every transaction.
    """
    CREATE TABLE cases (
        id uuid PRIMARY KEY,
        event_key text NOT NULL,
        customer_id text,
        opening_response_id text NOT NULL,
        program text NOT NULL,
        touchpoint text,
        language text,
        score integer NOT NULL,
        tier text NOT NULL,
        status text NOT NULL CHECK (status IN ('open', 'contacted', 'resolved', 'closed')),
        outcome text CHECK (outcome IN ('confirmed', 'unconfirmed')),
        level text NOT NULL CHECK (level IN ('frontline', 'management', 'executive')),
        owner_id text NOT NULL CHECK (owner_id <> ''),
        owner_reason text NOT NULL,
        owner_reason_details json NOT NULL,
        responsible_id text,
        round integer NOT NULL,
        reopenings integer NOT NULL,
        version integer NOT NULL,
        answered_at timestamptz NOT NULL,
        opened_at timestamptz NOT NULL,
        first_contact_due_at timestamptz NOT NULL,
        first_contact_warn_at timestamptz NOT NULL,
        first_contact_stage text NOT NULL,
        first_contacted_at timestamptz,
        resolution_due_at timestamptz NOT NULL,
        resolution_warn_at timestamptz NOT NULL,
        resolution_stage text NOT NULL,
        resolved_at timestamptz,
        root_cause_id text,
        confirm_by timestamptz,
        closed_at timestamptz,
        fires_at timestamptz,
        listed_at timestamptz NOT NULL,
        CONSTRAINT closed_has_outcome CHECK ((status = 'closed') = (outcome IS NOT NULL)),
        CONSTRAINT closed_has_time CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
        CONSTRAINT closed_is_silent CHECK (status <> 'closed' OR fires_at IS NULL),
        CONSTRAINT resolved_is_asked CHECK ((status = 'resolved') = (confirm_by IS NOT NULL)),
        CONSTRAINT resolved_has_cause CHECK (status <> 'resolved' OR root_cause_id IS NOT NULL)
    )
    """,
    # One open case per customer, whatever happens at once.
    "CREATE UNIQUE INDEX one_open_case_per_customer ON cases (customer_id) WHERE status <> 'closed'",
    # What the clock loop claims.
    "CREATE INDEX cases_firing ON cases (fires_at) WHERE fires_at IS NOT NULL",
    # One index for each filter of the list, each in the list's order. That of the whole list is written in another way
    # on purpose: on (listed_at, id) the planner would walk it for filtered lists too, and pass over half of the table
    # to find the cases of somebody whose cases are all closed.
    "CREATE INDEX cases_listed ON cases ((listed_at AT TIME ZONE 'UTC'), id)",
    "CREATE INDEX cases_by_status ON cases (status, listed_at, id)",
    "CREATE INDEX cases_by_owner ON cases (owner_id, listed_at, id)",
    "CREATE INDEX cases_by_level ON cases (level, listed_at, id)",
    "CREATE INDEX cases_by_tier ON cases (tier, listed_at, id)",
    "CREATE INDEX cases_by_customer ON cases (customer_id, listed_at, id)",
    """
    CREATE TABLE timeline (
        case_id uuid NOT NULL,
        version integer NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        details json NOT NULL,
        text text,
        PRIMARY KEY (case_id, version)
    )
    """,
    """
    CREATE TABLE departments (
        id text PRIMARY KEY,
        name text NOT NULL,
        manager_id text,
        version integer NOT NULL
    )
    """,
    """
    CREATE TABLE teams (
        id text PRIMARY KEY,
        name text NOT NULL,
        lead_id text,
        department_id text REFERENCES departments,
        version integer NOT NULL
    )
    """,
    """
    CREATE TABLE agents (
        id text PRIMARY KEY,
        name text NOT NULL,
        email text NOT NULL,
        language text NOT NULL CHECK (language IN ('ru', 'en')),
        role text NOT NULL CHECK (role IN ('agent', 'manager', 'executive')),
        seniority integer NOT NULL CHECK (seniority BETWEEN 1 AND 3),
        team_id text REFERENCES teams,
        department_id text REFERENCES departments,
        capacity integer NOT NULL CHECK (capacity >= 0),
        absent_from timestamptz,
        absent_until timestamptz,
        disabled boolean NOT NULL,
        version integer NOT NULL
    )
    """,
    "ALTER TABLE departments ADD FOREIGN KEY (manager_id) REFERENCES agents",
    "ALTER TABLE teams ADD FOREIGN KEY (lead_id) REFERENCES agents",
    # How many running cases each person owns, counted as it changes: counting a million cases per batch would not do.
    # A table of its own with room on its pages, so that the counting neither bloats nor blocks the agents.
    """
    CREATE TABLE agent_loads (
        agent_id text PRIMARY KEY,
        running_cases integer NOT NULL
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    """,
    """
    CREATE TABLE sla_policies (
        tier text PRIMARY KEY CHECK (tier IN ('key', 'high', 'standard', 'low')),
        first_contact_hours integer NOT NULL,
        resolution_hours integer NOT NULL,
        reopened_first_contact_hours integer NOT NULL,
        reopened_resolution_hours integer NOT NULL,
        confirmation_days integer NOT NULL,
        warn_after double precision NOT NULL,
        version integer NOT NULL
    )
    """,
    # The same numbers as DEFAULT_POLICIES of services.casework.domain.clocks; a test compares them.
    """
    INSERT INTO sla_policies VALUES
        ('key',      48, 120, 24,  60, 7, 0.75, 1),
        ('high',     48, 168, 24,  84, 7, 0.75, 1),
        ('standard', 48, 240, 24, 120, 7, 0.75, 1),
        ('low',      48, 336, 24, 168, 7, 0.75, 1)
    """,
    """
    CREATE TABLE root_causes (
        id text PRIMARY KEY,
        parent_id text REFERENCES root_causes,
        name_ru text NOT NULL,
        name_en text NOT NULL,
        retired boolean NOT NULL,
        version integer NOT NULL
    )
    """,
    # A case cannot be resolved without a root cause, so there are some from the first day; the company edits them.
    """
    INSERT INTO root_causes VALUES
        ('service', NULL, 'Обслуживание', 'Service', false, 1),
        ('service.waiting', 'service', 'Долгое ожидание', 'Long wait', false, 1),
        ('service.attitude', 'service', 'Отношение сотрудника', 'Attitude of staff', false, 1),
        ('service.not_helped', 'service', 'Не смогли помочь', 'Could not help', false, 1),
        ('service.repeat_contact', 'service', 'Пришлось обращаться повторно', 'Had to contact again', false, 1),
        ('service.passed_on', 'service', 'Передавали от одного к другому', 'Passed from one to another', false, 1),
        ('product', NULL, 'Продукт', 'Product', false, 1),
        ('product.defect', 'product', 'Неисправность', 'Defect', false, 1),
        ('product.missing', 'product', 'Не хватает нужного', 'Something is missing', false, 1),
        ('product.difficult', 'product', 'Трудно пользоваться', 'Hard to use', false, 1),
        ('price', NULL, 'Цена и условия', 'Price and terms', false, 1),
        ('price.high', 'price', 'Слишком дорого', 'Too expensive', false, 1),
        ('price.unclear', 'price', 'Непонятные условия', 'Unclear terms', false, 1),
        ('price.unexpected', 'price', 'Неожиданная плата', 'Unexpected charge', false, 1),
        ('process', NULL, 'Процессы', 'Processes', false, 1),
        ('process.delay', 'process', 'Срыв срока', 'Missed deadline', false, 1),
        ('process.mistake', 'process', 'Ошибка в документах или счёте', 'Mistake in documents or invoice', false, 1),
        ('process.paperwork', 'process', 'Слишком много формальностей', 'Too much paperwork', false, 1),
        ('digital', NULL, 'Сайт и приложение', 'Site and app', false, 1),
        ('digital.failure', 'digital', 'Сбой', 'Failure', false, 1),
        ('digital.navigation', 'digital', 'Трудно найти нужное', 'Hard to find things', false, 1),
        ('communication', NULL, 'Информирование', 'Communication', false, 1),
        ('communication.missing', 'communication', 'Не сообщили', 'Was not told', false, 1),
        ('communication.unclear', 'communication', 'Непонятное объяснение', 'Unclear explanation', false, 1),
        ('communication.promise', 'communication', 'Не сдержали обещание', 'Promise not kept', false, 1),
        ('other', NULL, 'Другое', 'Other', false, 1)
    """,
)


def upgrade() -> None:
    for statement in (*MESSAGING_V1, *WEBAPI_V1, *_CASEWORK_V1):
        op.execute(statement)
