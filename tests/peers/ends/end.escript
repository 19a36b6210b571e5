%% An end of Erlang's ssh: end.escript client|server PORT DIRECTORY-OF-KEYS
main([Side, Port, Keys]) ->
    {ok, _} = application:ensure_all_started(ssh),
    run(Side, list_to_integer(Port), Keys).

run("client", Port, Keys) ->
    {ok, Connection} = ssh:connect("127.0.0.1", Port, [{silently_accept_hosts, true}, {user_interaction, false},
        {user, "root"}, {user_dir, Keys}, {save_accepted_host, false}], 5000),
    tell(Connection),
    ssh:close(Connection);
run("server", Port, Keys) ->
    Told = fun(_User, _Peer, _Method) -> ok end,
    {ok, _} = ssh:daemon({127, 0, 0, 1}, Port, [{system_dir, Keys}, {user_dir, Keys}, {connectfun, Told},
        {auth_methods, "publickey"}]),
    io:format("READY~n"),
    receive never -> ok end.

tell(Connection) ->
    [{options, _} | _] = [{options, none}],
    Info = ssh:connection_info(Connection, [client_version, server_version, algorithms]),
    {_, {_, Client}} = lists:keyfind(client_version, 1, Info),
    {_, {_, Server}} = lists:keyfind(server_version, 1, Info),
    {_, Agreed} = lists:keyfind(algorithms, 1, Info),
    Of = fun(Name) -> {_, Value} = lists:keyfind(Name, 1, Agreed), Value end,
    io:format("ERLANG ~s ~s ~p ~p ~p ~p ~p ~p ~p ~p~n", [Client, Server, Of(kex), Of(hkey), Of(encrypt), Of(decrypt), Of(send_mac),
        Of(recv_mac), Of(compress), Of(decompress)]).
