%% A first hello of Erlang's ssl or ssh with its defaults: client.escript tls|ssh PORT
main(["tls", Port]) ->
    {ok, _} = application:ensure_all_started(ssl),
    ssl:connect("localhost", list_to_integer(Port), [{verify, verify_none}], 3000);
main(["ssh", Port]) ->
    {ok, _} = application:ensure_all_started(ssh),
    ssh:connect("localhost", list_to_integer(Port),
        [{silently_accept_hosts, true}, {user_interaction, false}, {user, "nobody"}, {password, "none"}], 3000).
